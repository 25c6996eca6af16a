"""Suppression comments: what they silence, what they cannot, and that YAML decides what a comment is."""

import pytest

from legoc.fix import fix_text
from legoc.spec import check_text

SPEC = """\
legoc: 1
name: example
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 9}
bricks:
  - {id: windows, size: 4, depth: 2, width: 192, heads: 6}
  - {id: image, size: image, depth: 5, width: 192, heads: 6}
skip_policies:
  late: {image: "sigma > 100"}
"""
LATE = '  late: {image: "sigma > 100"}\n'


def codes(text: str) -> list[str]:
    result = check_text(text, "s.yaml")
    assert (result.spec is None) == bool(result.errors)
    return [finding.code for finding in result.diagnostics]


def late(text: str) -> str:
    """The spec, whose last line gives LG308, with another last line."""
    return SPEC.replace(LATE, text)


def test_without_a_comment_the_warning_is_there() -> None:
    assert codes(SPEC) == ["LG308"]


@pytest.mark.parametrize(
    "text",
    [
        LATE[:-1] + "  # legoc: ignore[LG308] a study fills it in\n",
        "  # legoc: ignore[LG308] a study fills it in\n" + LATE,
        "  # legoc: ignore[LG308] a study fills it in\n  # and more words\n" + LATE,
        "# Legoc:ignore [ lg308 ]: a study fills it in\n" + LATE,
        '  late: {  # legoc: ignore[LG308] not this line\n    image: "sigma > 100"}  # legoc: ignore[LG308] this one\n',
    ],
)
def test_behind_the_line_or_alone_above_it(text: str) -> None:
    assert "LG308" not in codes(late(text))


@pytest.mark.parametrize(
    "text",
    [
        "  # legoc: ignore[LG308] a study fills it in\n\n" + LATE,
        '  late: {image: "sigma > 100"}\n  # legoc: ignore[LG308] below\n',
    ],
)
def test_elsewhere_it_suppresses_nothing_and_says_so(text: str) -> None:
    assert sorted(codes(late(text))) == ["LG308", "LG504"]


def test_text_that_looks_like_a_comment_is_none() -> None:
    inside = SPEC.replace("name: example", 'name: example\ndescription: "# legoc: ignore[LG308]"')
    block = SPEC.replace("name: example", "name: example\ndescription: |\n  # legoc: ignore[LG308]")
    glued = SPEC.replace("name: example", "name: example\ndescription: a#legoc:ignore[LG308]")
    for text in (inside, block, glued):
        assert codes(text) == ["LG308"]


def test_an_error_hides_whether_a_suppression_is_used() -> None:
    text = SPEC.replace("depth: 5", "depth: 0").replace(LATE, "  # legoc: ignore[LG109] nothing here\n" + LATE)
    assert "LG504" not in codes(text)
    assert "LG504" in codes(text.replace("depth: 0", "depth: 5"))


def test_one_comment_may_name_several_codes_and_each_has_to_be_used() -> None:
    text = late(LATE[:-1] + "  # legoc: ignore[LG308, LG109] both\n")
    (finding,) = check_text(text, "s.yaml").diagnostics
    assert finding.code == "LG504"
    assert finding.primary is not None
    span = finding.primary.span
    assert text[span.start : span.end] == "LG109"


@pytest.mark.parametrize(
    "comment", ["# legoc: ignore[LG109] nothing here", "# legoc: ignore[LG109, LG311] nothing here"]
)
def test_an_unused_suppression_is_mended_away(comment: str) -> None:
    plain = SPEC.replace("sigma > 100", "sigma < 0.3")
    for text in (f"{plain}{comment}\n", plain.replace("name: example", f"name: example  {comment}")):
        fixed = fix_text(text, "s.yaml", lambda text: check_text(text, "s.yaml").diagnostics)
        assert (fixed.text, fixed.remaining) == (plain, check_text(plain, "s.yaml").diagnostics)
        assert {finding.code for finding in fixed.made} == {"LG504"}


@pytest.mark.parametrize(
    ("comment", "code", "place"),
    [
        ("# legoc: ignore[LG308]", "LG501", "# legoc: ignore[LG308]"),
        ("# legoc: ignore LG308 because", "LG501", "# legoc: ignore LG308 because"),
        ("# legoc: ignore[] because", "LG501", "# legoc: ignore[] because"),
        ("# legoc: skip[LG308] because", "LG501", "# legoc: skip[LG308] because"),
        ("# legoc: ignore[E501] because", "LG502", "E501"),
        ("# legoc: ignore[LG201] because", "LG503", "LG201"),
        ("# legoc: ignore[LG504] because", "LG503", "LG504"),
    ],
)
def test_a_comment_that_does_not_say_what_it_must(comment: str, code: str, place: str) -> None:
    text = late(f"{LATE[:-1]}  {comment}\n")
    findings = {finding.code: finding for finding in check_text(text, "s.yaml").diagnostics}
    assert set(findings) == {"LG308", code}
    primary = findings[code].primary
    assert primary is not None
    assert text[primary.span.start : primary.span.end] == place


def test_an_error_stays_although_it_is_named() -> None:
    text = SPEC.replace("size: 4,", "size: 5,").replace(
        "heads: 6}\n  - ", "heads: 6}  # legoc: ignore[LG201] later\n  - "
    )
    assert codes(text)[:2] == ["LG201", "LG503"]
