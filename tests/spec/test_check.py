"""Every problem of a file in one run, and one diagnostic a problem."""

import itertools
import os
from pathlib import Path

import pytest

import legoc
from legoc.diagnostics import SpecError
from legoc.source import SourceFile
from legoc.spec import check_file, check_text, load_spec
from legoc.spec.compose import compose

SPECS = Path(__file__).parents[2] / "specs"
BASE = """\
legoc: 1
name: example
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 9}
brick_defaults: {width: 192, heads: 6}
bricks:
  - {id: windows, size: 4, depth: 2}
  - {id: image, size: image, depth: 5}
"""

TEN_MISTAKES = """\
legoc: 0
name: my stack
grid: {height: 32, width: 32, chanels: 3}
conditioning: {classes: 9, classes: 10}
brick_defaults: {width: 192, heads: 7}
bricks:
  - {id: windows, size: 12, depth: 2}
  - {id: parts, size: 8, receptive_field: 3, depth: 2, skip: "sgima < 1"}
  - {id: image, size: image, depth: five}
skip_policies:
  late: {imge: "sigma < 0.3"}
train: {batch: 0}
"""


def codes(text: str) -> list[str]:
    return [finding.code for finding in check_text(text, "t.yaml").diagnostics]


def test_a_file_with_ten_mistakes_of_different_kinds_shows_them_all() -> None:
    result = check_text(TEN_MISTAKES, "ten.yaml")
    found = [(d.code, str(d.primary.span).removeprefix("ten.yaml:")) for d in result.diagnostics if d.primary]
    assert result.spec is None
    assert found == [
        ("LG107", "1:8"),
        ("LG106", "2:7"),
        ("LG101", "3:31"),
        ("LG005", "4:28"),
        ("LG203", "5:37"),
        ("LG201", "7:25"),
        ("LG202", "8:43"),
        ("LG302", "8:63"),
        ("LG103", "9:37"),
        ("LG305", "11:10"),
        ("LG104", "12:16"),
    ]


def test_the_file_of_the_picture_in_the_readme_has_eleven_mistakes() -> None:
    found = check_file(SPECS.parent / "docs" / "pictures" / "mistakes.yaml").diagnostics
    assert len({finding.code for finding in found}) == len(found) == 11


def paths_of(text: str) -> list[tuple[str | int, ...]]:
    tree, _ = compose(SourceFile("t", text))
    assert tree is not None
    return [path for path in tree.nodes if path]


EMOJI = (SPECS / "emoji_32.yaml").read_text(encoding="utf-8")


def test_a_misspelt_key_gives_one_diagnostic_wherever_it_is() -> None:
    tree, _ = compose(SourceFile("t", EMOJI))
    assert tree is not None
    for path in paths_of(EMOJI):
        key = tree.key(path)
        if key is None or (path[0] == "skip_policies" and len(path) == 2):
            continue  # the name of a policy is free
        findings = check_text(EMOJI[: key.end - 1] + EMOJI[key.end :], "t").diagnostics
        assert [f.code for f in findings] == ["LG305" if path[0] == "skip_policies" and len(path) == 3 else "LG101"], (
            path
        )
        assert findings[0].primary is not None
        assert findings[0].primary.span.start == key.start


def test_a_value_of_the_wrong_kind_gives_one_diagnostic_wherever_it_is() -> None:
    tree, _ = compose(SourceFile("t", EMOJI))
    assert tree is not None
    for path, wrong in itertools.product(paths_of(EMOJI), ("[[]]", "true")):
        span = tree.span(path)
        end = "\n" if "\n" in EMOJI[span.start : span.end] else ""
        findings = check_text(EMOJI[: span.start] + wrong + end + EMOJI[span.end :], "t").diagnostics
        assert [f.code for f in findings] in (["LG103"], ["LG105"]), (path, wrong, findings)


@pytest.mark.parametrize(
    ("old", "new", "help"),
    [
        ("{classes: 9}", "{classes: none}", "write `null`"),
        ("{classes: 9}", "none", "write `{classes: null}`"),
        ("{classes: 9}", '{classes: "9"}', "write `9`, without quotes"),
        ("{classes: 9}", "{classes: 1e1}", "write `10`"),
        ("{classes: 9}", "{classes: 1_0}", "write `10`"),
        ("{classes: 9}", "{classes: 0}", "`classes: null`"),
        ("name: example", "name: 12", 'in quotes: "12"'),
        ("id: image", "id: true", 'in quotes: "true"'),
        ("id: image", "id: Top-Brick", "`top_brick`"),
        ("depth: 5", "layers: 5", "did you mean `depth`?"),
        ("size: 4", "size: 5", "use 4 or 8"),
        ("size: 4", "size: 64", "use 32, or `image`"),
        ("size: 4", "size: 64x64", "use 32, or `image`"),
        ("width: 192", "width: 190", "use 186 or 192"),
    ],
)
def test_the_help_says_what_to_write(old: str, new: str, help: str) -> None:
    findings = check_text(BASE.replace(old, new, 1), "t").diagnostics
    helps = [str(finding.help) for finding in findings]
    if "190" in new:
        help = "use 180 or 192"
    assert len(helps) == 1
    assert help in helps[0]


@pytest.mark.parametrize(
    ("addition", "section"),
    [
        ("train: {lr: 1e-4}", "`train.optimizer:`"),
        ("train: {steps: 18}", "`sample:`"),
        ("sample: {clip_norm: 1}", "`train:`"),
        ("batch: 3", "`train:`"),
        ("ema: 0.9", "`train:`"),
        ("classes: 3", "`conditioning:`"),
        ("depth: 3", "`brick_defaults:`"),
        ("skip: guided", "a brick"),
    ],
)
def test_a_key_of_another_section_says_so(addition: str, section: str) -> None:
    (finding,) = check_text(f"{BASE}{addition}\n", "t").diagnostics
    assert finding.code == "LG101"
    assert section in str(finding.help)


def test_a_broken_section_does_not_hide_the_others() -> None:
    text = (
        BASE.replace("{height: 32, width: 32, channels: 3}", "32")
        + "sample: {steps: 1}\nskip_policies: {a: {x: guided}}\n"
    )
    assert codes(text) == ["LG103", "LG104", "LG305"]


def test_one_mistake_in_the_defaults_is_one_diagnostic_for_all_bricks() -> None:
    assert codes(BASE.replace("heads: 6", "heads: 7")) == ["LG203"]
    assert codes(BASE.replace(", heads: 6", "")) == ["LG102"]
    assert codes(BASE.replace("heads: 6", "heads: six")) == ["LG103"]
    assert codes(BASE.replace("width: 192", "width: 190")) == ["LG205"]


def test_rules_point_at_both_places() -> None:
    (finding,) = check_text(BASE.replace("size: 4", "size: 12"), "t").diagnostics
    assert finding.primary is not None
    assert finding.primary.span.line == 7
    assert [(label.span.line, label.text) for label in finding.secondary] == [
        (3, "the grid is 32 high here"),
        (3, "the grid is 32 wide here"),
    ]


def test_a_policy_that_leaves_no_brick_names_steps_and_predicates() -> None:
    text = BASE + 'skip_policies: {p: {windows: "sigma > 1", image: "sigma < 2"}}\nsample: {steps: 18}\n'
    (finding,) = check_text(text, "t").diagnostics
    assert finding.code == "LG307"
    assert "steps 9 to 10 of 18 (sigma 1.92 to 1.09)" in finding.message
    assert [text[label.span.start : label.span.end] for label in finding.secondary] == ['"sigma > 1"', '"sigma < 2"']
    # over a coarser schedule no level lies between: the spec's own is what counts
    assert codes(text.replace("18", "4")) == ["LG311"]


def test_the_bricks_own_skips_form_a_policy_too() -> None:
    text = BASE.replace("depth: 2}", "depth: 2, skip: guided}").replace("depth: 5}", 'depth: 5, skip: "sigma < 1"}')
    assert codes(text + "sample: {guidance: 2}\n") == ["LG307"]
    assert codes(text) == ["LG308"]  # without guidance `guided` never holds


def test_image_bricks_train_their_one_window_whatever_the_defaults_say() -> None:
    text = BASE.replace("heads: 6}", "heads: 6, train_patches: 0.5}")
    spec = check_text(text, "t").spec
    assert spec is not None
    assert [brick.train_patches for brick in spec.shape.bricks] == [0.5, 1.0]
    assert codes(text.replace("size: image", "size: 32, train_patches: 0.5")) == ["LG206"]


@pytest.mark.parametrize("word", ["if", "class", "lambda", "import", "none", "default", "x_9"])
def test_any_lower_case_word_can_be_an_id(word: str) -> None:
    text = BASE.replace("id: image", f"id: {word}") + f"skip_policies: {{p: {{{word}: 'sigma < 1'}}}}\n"
    assert codes(text) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "LG003"),
        (b"  \n# nothing\n", "LG003"),
        (b"---\n", "LG003"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "LG002"),
        (b"legoc: 1\x00", "LG002"),
        ("name: café".encode("latin-1"), "LG002"),
        ("name: x".encode("utf-16"), "LG002"),
        (b"- 1\n- 2\n", "LG008"),
        (b"just words", "LG008"),
        (b"[" * 30_000, "LG007"),
        (b"a: 1\n" * 300_000, "LG007"),
        (b"a: 1\n" * 50_000, "LG007"),
        (b"a: \x07", "LG004"),
        (b'name: "\\ud800"\n', "LG004"),
        (b"a: {b", "LG004"),
        (b"\ta: 1", "LG004"),
    ],
)
def test_any_file_ends_in_a_diagnostic(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    result = check_file(path)
    assert result.spec is None
    assert code in [finding.code for finding in result.diagnostics]
    assert {finding.primary.span.file.name for finding in result.diagnostics if finding.primary} == {os.fspath(path)}


def test_files_that_cannot_be_read_are_diagnostics_too(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.yaml", "a\0b", tmp_path / "x" / ("y" * 300)):
        assert [finding.code for finding in check_file(path).diagnostics] == ["LG001"]
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path)
    assert caught.value.diagnostics[0].code == "LG001"


def test_the_package_offers_the_same_functions() -> None:
    spec = legoc.load_spec(SPECS / "emoji_32.yaml")
    assert legoc.check(SPECS / "emoji_32.yaml") == legoc.CheckResult(spec, ())
    assert {name for name in legoc.__all__ if getattr(legoc, name, None) is None} == set()


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    text = "\ufeff" + BASE.replace("\n", "\r\n")
    assert check_text(text, "t").spec is not None
    (finding,) = check_text(text.replace("depth: 5", "dpth: 5"), "t").diagnostics
    assert finding.primary is not None
    assert str(finding.primary.span) == "t:8:30"


def test_nothing_is_said_of_a_newer_file_but_its_version() -> None:
    found = check_text("legoc: 2\nname: a\nbricks: a\nfoo: 1\n", "newer.yaml").diagnostics
    assert [finding.code for finding in found] == ["LG107"]


def test_an_empty_value_is_told_its_type_and_a_text_for_bricks_its_form() -> None:
    found = check_text("legoc: 1\nbricks: a\ntrain: {batch: , ema: , fill: [model]}\n", "t.yaml").diagnostics
    said = {finding.primary.span.line: finding for finding in found if finding.primary and finding.code == "LG103"}
    assert said[2].help == "write a list: `- {id: ..., size: ..., depth: ...}`"
    messages = [finding.message for finding in found]
    assert "`train.batch` must be a whole number (images a step (128)), found nothing" in messages
    assert "`train.ema` must be a list (decay rates of the moving averages ([0.9999])), found nothing" in messages
    assert "`train.fill` must be `noisy`, `x0`, `zeros` or `model`, found a list" in messages
