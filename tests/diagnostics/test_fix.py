"""Safe fixes: exact edits, nothing new goes wrong, a second run finds nothing to do."""

import random
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.diagnostics import Diagnostic
from legoc.fix import fix_text
from legoc.spec import check_text
from tests.fuzz.mutate import misspelt

ROOT = Path(__file__).parents[2]
EMOJI = (ROOT / "specs" / "emoji_32.yaml").read_text(encoding="utf-8")


def check(text: str) -> tuple[Diagnostic, ...]:
    return check_text(text, "s.yaml").diagnostics


def fixed(old: str, new: str) -> str:
    """A preset with a slip, mended."""
    assert old in EMOJI
    text = EMOJI.replace(old, new)
    assert check(text)
    return fix_text(text, "s.yaml", check).text


@pytest.mark.parametrize(
    ("right", "slip"),
    [
        ("label_dropout", "label_dropuot"),
        ("mlp_ratio: 4", "mlp-ratio: 4"),
        ("mlp_ratio: 4", '"mlp_ratoi": 4'),
        ("steps: 18", 'steps: "18"'),
        ("batch: 128", "batch: 1_28"),
        ("carry: x0", "carry: X0"),
        ("sigma < 10", "sigma ≤ 10"),
    ],
)
def test_a_slip_is_mended_and_all_else_stays(right: str, slip: str) -> None:
    assert fixed(right, slip).replace("sigma <= 10", "sigma < 10").replace("mlp_ratio: 4", "mlp_ratio: 4") == EMOJI


@pytest.mark.parametrize(
    ("predicate", "mended"),
    [
        ("sigma < 0.3 && step > 2", "sigma < 0.3 and step > 2"),
        ("sigma<0.3&&step>2||step>9", "sigma<0.3 and step>2 or step>9"),
        ("!(sigma > 0.3)", "not (sigma > 0.3)"),
        ("!(sigma > 0.3) && step > 2", "not (sigma > 0.3) and step > 2"),
        ("sigma < 0.3 AND step > 2", "sigma < 0.3 and step > 2"),
        ("σ ≤ 0.3", "sigma <= 0.3"),
    ],
)
def test_operators_of_other_languages(predicate: str, mended: str) -> None:
    late = '  late: {image: "sigma < 0.3"}'
    assert fixed(late, f'  late: {{image: "{predicate}"}}') == EMOJI.replace(late, f'  late: {{image: "{mended}"}}')


@pytest.mark.parametrize(
    "slip",
    [
        '"!(step) < 3"',  # in C the comparison is of a truth value
        '"!step < 3"',
        '"sigma & 3"',
        '"sigma = 3"',
        '"sigma < 0.3 && guided && guidde"',
    ],
)
def test_what_could_mean_two_things_is_left(slip: str) -> None:
    text = EMOJI.replace('"sigma < 0.3"', slip)
    after = fix_text(text, "s.yaml", check)
    assert {finding.code for finding in after.remaining} & {"LG301", "LG302"}


def test_two_misspellings_of_one_key_are_left() -> None:
    text = EMOJI.replace("depth: 3}", "dept: 3, depht: 4}")
    assert fix_text(text, "s.yaml", check).text == text


def test_a_fix_that_would_reveal_another_kind_of_problem_is_left_and_named() -> None:
    text = EMOJI.replace("depth: 3}", "dept: 0}")
    after = fix_text(text, "s.yaml", check)
    assert after.text == text
    assert [finding.code for finding in after.left] == ["LG101"]


def test_carriage_returns_and_the_missing_last_line_feed_stay() -> None:
    text = EMOJI.replace("depth: 3}", "dept: 3}").replace("\n", "\r\n").rstrip()
    assert fix_text(text, "s.yaml", check).text == text.replace("dept:", "depth:")


@pytest.mark.parametrize("seed", range(25))
def test_mending_brings_no_new_code_and_a_second_time_changes_nothing(seed: int) -> None:
    text = misspelt(EMOJI, random.Random(seed))
    before = {finding.code for finding in check(text)}
    after = fix_text(text, "s.yaml", check)
    assert {finding.code for finding in after.remaining} <= before
    assert after.remaining == check(after.text)
    again = fix_text(after.text, "s.yaml", check)
    assert (again.text, again.made) == (after.text, ())


def test_a_suppression_that_repeats_another_goes(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    line = '  early: {windows: "sigma > 1000"}'
    above = "  # legoc: ignore[LG308] for a study\n"
    text = EMOJI.replace('  early: {windows: "sigma > 10"}', f"{above}{line}").replace(
        "# while", "# legoc: ignore[LG308]"
    )
    path.write_text(text, encoding="utf-8")
    assert main(["check", "--fix", str(path)]) == 0
    assert line + "\n" in path.read_text(encoding="utf-8")


def test_the_command_writes_says_and_checks_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    text = EMOJI.replace("depth: 3}", "dept: 3}").replace("depth: 5}", "depth: 0}")
    path.write_bytes(text.encode())
    path.chmod(0o640)
    assert main(["check", "--fix", "--diff", str(path)]) == 1
    captured = capsys.readouterr()
    assert "-  - {id: parts,   size: 16,    receptive_field: 4, dept: 3}" in captured.out
    assert path.read_bytes() == text.encode()
    assert main(["check", "--fix", str(path)]) == 1
    captured = capsys.readouterr()
    assert ":52: LG101 dept -> depth\n" in captured.err
    assert "LG104" in captured.out
    assert "LG101" not in captured.out
    assert path.read_bytes() == text.replace("dept:", "depth:").encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.yaml"]


def test_diff_needs_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--diff", "s.yaml"]) == 2
    assert "--fix" in capsys.readouterr().err
