"""The canonical layout: comments keep their places, values their meaning, and a second time changes nothing."""

import random
import re
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.diagnostics import SpecError
from legoc.fmt import format_text
from legoc.source import SourceFile
from legoc.spec import check_text, resolved_yaml
from legoc.spec.comments import comments

ROOT = Path(__file__).parents[2]
PRESETS = sorted((ROOT / "specs").rglob("*.yaml"))
SMALL = [ROOT / "specs" / name for name in ("emoji_32.yaml", "lego_pg_s.yaml", "lego_u_xl.yaml")]


def laid_out(text: str) -> str:
    """A text formatted, after which formatting changes nothing."""
    formatted = format_text(text, "s.yaml")
    assert format_text(formatted, "s.yaml") == formatted
    assert formatted.endswith("\n")
    assert not re.search(r"\n\n\n|\n\Z\n|\r", formatted)
    return formatted


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.relative_to(ROOT / "specs").as_posix())
def test_presets_are_laid_out_already(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_text(text, str(path)) == text, f"run `legoc fmt {path.relative_to(ROOT)}`"


def test_a_wild_file_becomes_the_canonical_one() -> None:
    folder = Path(__file__).parent
    formatted = laid_out((folder / "odd.yaml").read_text(encoding="utf-8"))
    assert formatted == (folder / "odd.formatted.yaml").read_text(encoding="utf-8")


def disturbed(text: str, rng: random.Random) -> str:
    """The same spec in another layout: comments in odd places, brackets over several lines, spaces, quotes."""
    lines: list[str] = []
    for number, line in enumerate(text.split("\n")):
        if "#" not in line and line.strip() and rng.random() < 0.3:
            if line.endswith("}") and rng.random() < 0.6:
                parts = line.rsplit(", ", rng.randint(1, 3))
                indent = " " * (len(line) - len(line.lstrip()) + 4)
                line = f",{rng.choice(('', f'   # inside {number}'))}\n{indent}".join(parts)
            line += rng.choice(("   ", f" # behind {number}", f"      #behind {number}", ""))
        if rng.random() < 0.25:
            lines += (
                [""] * rng.randint(0, 2) + [" " * rng.randint(0, 6) + f"# alone {number}"] + [""] * rng.randint(0, 1)
            )
        lines.append(line)
    text = "\n".join(lines)
    text = re.sub(r"(?<=: )(edm|x0|raw|heun|adamw)\b", lambda m: rng.choice((m[1], f'"{m[1]}"', f"'{m[1]}'")), text)
    return re.sub(r'"(sigma[^"]*)"', lambda m: rng.choice((f'"{m[1]}"', f"'{m[1]}'", m[1])), text)


@pytest.mark.parametrize("seed", range(40))
def test_any_layout_of_a_preset_keeps_values_and_comments(seed: int) -> None:
    rng = random.Random(seed)
    path = rng.choice(SMALL)
    original = path.read_text(encoding="utf-8")
    text = disturbed(original, rng)
    formatted = laid_out(text)
    spec, expected = check_text(formatted, str(path)).spec, check_text(original, str(path)).spec
    assert spec is not None
    assert expected is not None
    assert resolved_yaml(spec) == resolved_yaml(expected)
    said, kept = (sorted(c.text for c in comments(SourceFile("s", t))) for t in (text, formatted))
    assert kept == said


def test_keys_take_the_languages_order_and_the_header_stays_on_top() -> None:
    text = "# header\n\nbricks:\n  - {depth: 2, skip: guided, size: 4, id: a}\n# the name\nname: n\nlegoc: 1\nodd: 1\n"
    assert laid_out(text) == (
        '# header\n\nlegoc: 1\n# the name\nname: n\nbricks:\n  - {id: a, size: 4, depth: 2, skip: "guided"}\nodd: 1\n'
    )


def test_policies_keep_their_order_and_anchors_keep_that_of_everything() -> None:
    text = 'skip_policies:\n  z: {b: "guided", a: "guided"}\n  a: {}\n'
    assert laid_out(text) == text
    anchored = "bricks:\n  - &b {size: 4, id: a}\n  - *b\nname: n\n"
    assert laid_out(anchored) == anchored


def test_a_brick_takes_one_line_only_where_it_fits_and_no_comment_is_inside() -> None:
    long = "a_brick_with_a_long_name_that_goes_on_and_on_and_on_and_on_and_on"
    text = (
        f"bricks:\n- id: {long}\n  size: 4\n  skip: 'sigma < 1 and sigma > 0.5 or progress > 0.25'\n"
        "- id: b\n  size: 8 # eight\n- id: c\n  size: image\n"
    )
    assert laid_out(text) == (
        f'bricks:\n  - id: {long}\n    size: 4\n    skip: "sigma < 1 and sigma > 0.5 or progress > 0.25"\n'
        "  - id: b\n    size: 8  # eight\n  - {id: c, size: image}\n"
    )


def test_brackets_that_are_opened_have_the_empty_lines_that_were_in_them() -> None:
    """Not one above every entry, where one stood above the line that they were all on."""
    section = "legoc: 1\n\nsample: {sampler: heun, steps: 18, guidance: 2, churn: 0, skip_policy: none, seeds: 0-7, "
    text = f"{section}classes: balanced, batch: 64, ema: none}}\n"
    assert laid_out(text) == (
        "legoc: 1\n\nsample:\n  sampler: heun\n  steps: 18\n  guidance: 2\n  churn: 0\n  skip_policy: none\n"
        "  seeds: 0-7\n  classes: balanced\n  batch: 64\n  ema: none\n"
    )
    text = f"{section}\n\n  classes: balanced, batch: 64 # c\n  }}\n"
    assert "  seeds: 0-7\n\n  classes: balanced\n  batch: 64  # c\n" in laid_out(text)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("'a-b'", "a-b"),
        ('"4"', '"4"'),
        ("'1e5'", '"1e5"'),
        ("'null'", '"null"'),
        ("'yes'", '"yes"'),
        ("'it''s: so'", '"it\'s: so"'),
        ("a\n  b", "a b"),
        ('"a\\n b"', '"a\\n b"'),
        ("|\n      a\n        b", "|\n  a\n    b"),
        ("|+\n  a\n", '"a\\n\\n"'),
        ("|\n   a  \n\n   b", "|\n  a  \n\n  b"),
        (">-\n  a\n  b", "a b"),
        ("日本 語", "日本 語"),
        ("'日本'", '"日本"'),
        ("", ""),
        ("[ 1,2 ]", "[1, 2]"),
        ("[1, {a: }]", "[1, {a: null}]"),
        ("[a: 1]", "[{a: 1}]"),
        ("- 1\n- - 2\n  - 3", "\n  - 1\n  - - 2\n    - 3"),
    ],
)
def test_values(written: str, canonical: str) -> None:
    gap = "\n" if written.startswith("- ") else " "
    expected = f"description:{'' if canonical.startswith(chr(10)) or not canonical else ' '}{canonical}\n"
    assert laid_out(f"description:{gap}{written}\n") == expected


def test_comments_of_neighbours_line_up_within_the_width() -> None:
    text = "legoc: 1 # one\nname: nnnn   # two\n\ncarry: x0 # three\n"
    assert laid_out(text) == "legoc: 1    # one\nname: nnnn  # two\n\ncarry: x0  # three\n"
    wide = f"legoc: 1 # one\nname: {'n' * 50} # {'t' * 61}\n"
    assert laid_out(wide) == f"legoc: 1  # one\nname: {'n' * 50}  # {'t' * 61}\n"


@pytest.mark.parametrize("text", ["", "a: [1\n", "- 1\n", "a: 1\na: 2\n", "a: !t 1\n", "a: 1\n---\nb: 1\n", "a: *x\n"])
def test_what_is_no_spec_yaml_is_an_error(text: str) -> None:
    with pytest.raises(SpecError):
        format_text(text, "s.yaml")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, broken = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "broken.yaml"
    good.write_bytes(b"legoc: 1\n")
    bad.write_bytes(b"name:  n\r\nlegoc: 1\r\n")
    broken.write_bytes(b"a: [1\n")
    assert main(["fmt", "--check", str(good), str(bad)]) == 1
    assert bad.read_bytes() == b"name:  n\r\nlegoc: 1\r\n"
    assert main(["fmt", "--diff", str(bad)]) == 1
    assert "+legoc: 1\n+name: n\n" in capsys.readouterr().out
    assert main(["fmt", str(good), str(broken), str(bad)]) == 2
    assert "LG004" in capsys.readouterr().err
    assert (good.read_bytes(), broken.read_bytes()) == (b"legoc: 1\n", b"a: [1\n")
    assert bad.read_bytes() == b"legoc: 1\nname: n\n"
    assert main(["fmt", "--check", str(good), str(bad)]) == 0
    assert capsys.readouterr() == ("", "2 files laid out already\n")
