"""Where things stand: positions of nodes, and of characters inside every style of scalar."""

import pytest

from legoc.source import SourceFile
from legoc.spec.compose import compose
from legoc.spec.scalars import resolve_plain
from legoc.spec.tree import LocatedTree


def tree_of(text: str) -> LocatedTree:
    tree, findings = compose(SourceFile("t.yaml", text))
    assert not findings
    assert tree is not None
    return tree


@pytest.mark.parametrize(
    "scalar",
    [
        "sigma < TT",
        '"sigma < TT"',
        "'sigma < TT'",
        '"s\\x69gma \\u003c TT"',
        '"sig\\\n    ma < TT"',
        '"sigma\n    <\n\n    TT"',
        "sigma <\n        TT",
        "|\n        sigma\n          < TT\n",
        ">-  # folded\n        sigma\n        < TT\n",
        "'it''s sigma < TT'",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_part_of_a_scalar_is_found_in_the_file(scalar: str, newline: str) -> None:
    text = f"before: é日\ndeep:\n  - {{x: 1}}\n  - key:\n      {scalar}\n".replace("\n", newline)
    node = tree_of(text).scalar(("deep", 1, "key"))
    assert node is not None
    at = node.text.index("TT")
    span = node.part(at, at + 2)
    assert text[span.start : span.end] == "TT"


def test_collections_end_with_their_last_value() -> None:
    text = "a:\n  b: 1\n  c: [1, 2]   # comment\n\nd: x\n"
    tree = tree_of(text)
    span = tree.span(("a",))
    assert text[span.start : span.end] == "b: 1\n  c: [1, 2]"
    assert [text[s.start : s.end] for s in (tree.span(("a", "c", 1)), tree.key(("a", "c"))) if s] == ["2", "c"]


def test_a_place_that_was_not_written_falls_back_to_what_encloses_it() -> None:
    tree = tree_of("a: {b: 1}\n")
    assert tree.span(("a", "x", 3)) == tree.span(("a",))
    assert tree.head(("a", "x")) == tree.key(("a",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("010", 10),
        ("0x10", 16),
        ("0o17", 15),
        ("yes", "yes"),
        ("16:9", "16:9"),
        ("1_000", "1_000"),
        ("~", None),
        ("True", True),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("512M", "512M"),
        ("9" * 5000, float("inf")),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert resolve_plain(text) == value
    assert type(resolve_plain(text)) is type(value)


def test_aliases_stand_for_values_and_keep_the_place_of_their_text() -> None:
    text = 'a: &p "sigma < 1"\nb: *p\n'
    node = tree_of(text).scalar(("b",))
    assert node is not None
    assert node.text == "sigma < 1"
    assert text[node.part(8, 9).start] == "1"
