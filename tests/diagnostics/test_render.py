"""Carets stand under what they mean, whatever the line holds; and the shapes of the other formats."""

import io
import json

import pytest

from legoc.diagnostics import Diagnostic, Label
from legoc.render import render_concise, render_full, render_json, summary, wants_colour
from legoc.source import SourceFile, Span


def at(text: str, part: str, *others: str, message: str = "wrong") -> Diagnostic:
    """A diagnostic that points at a part of a text, and at others."""
    file = SourceFile("f.yaml", text)

    def label(piece: str, word: str = "") -> Label:
        start = text.index(piece)
        return Label(Span(file, start, start + len(piece)), word)

    return Diagnostic("LG201", "error", message, label(part), tuple(label(o, f"see {o}") for o in others), "mend it")


def test_labels_come_in_the_order_of_lines_with_a_gap_marked() -> None:
    text = "grid: 32\n\n\nsize: 12\nother: 1\n" + "\n" * 95 + "last: 9\n"
    assert render_full([at(text, "12", "9", "32")]) == (
        "error[LG201]: wrong\n"
        "   --> f.yaml:4:7\n"
        "    |\n"
        "  1 | grid: 32\n"
        "    |       -- see 32\n"
        "...\n"
        "  4 | size: 12\n"
        "    |       ^^\n"
        "...\n"
        "101 | last: 9\n"
        "    |       - see 9\n"
        "    |\n"
        "    = help: mend it\n"
    )


@pytest.mark.parametrize(
    ("text", "source", "under"),
    [
        ("a: XX\r\nb: 1\r\n", "a: XX", "   ^^"),
        ("\ta:\tXX", "    a:    XX", "          ^^"),
        ("日本: XX", "日本: XX", "      ^^"),
        ("e\u0301: XX", "e\u0301: XX", "   ^^"),
        ("\ufeffa: XX", "a: XX", "   ^^"),
        ("\x1b[31m: XX", "<U+001B>[31m: XX", " " * 14 + "^^"),
        ("a\u200bb\xa0\ufeff: XX", "a<U+200B>b<U+00A0><U+FEFF>: XX", " " * 28 + "^^"),
        ("日\u2028本\x00: XX", "日<U+2028>本<U+0000>: XX", " " * 22 + "^^"),
        ("a: XX", "a: XX", "   ^^"),
    ],
)
def test_carets_count_terminal_columns(text: str, source: str, under: str) -> None:
    lines = render_full([at(text, "XX")]).splitlines()
    assert lines[3:5] == [f"1 | {source}", f"  | {under}"]


def test_a_span_over_lines_is_underlined_to_the_end_of_its_first() -> None:
    lines = render_full([at("a: [1,\n  2]\nb: 1\n", "[1,\n  2]")]).splitlines()
    assert lines[3:5] == ["1 | a: [1,", "  |    ^^^"]


def test_very_long_lines_are_cut_around_the_place() -> None:
    text = "x" * 5000 + "HERE" + "y" * 5000
    lines = render_full([at(text, "HERE")]).splitlines()
    assert max(map(len, lines)) < 140
    column = lines[4].index("^^^^")
    assert lines[3][column : column + 4] == "HERE"
    assert lines[3][4] == lines[3][-1] == "…"


def test_an_empty_span_at_the_end_of_the_text_still_has_a_caret() -> None:
    file = SourceFile("f.yaml", "a: (")
    text = render_full([Diagnostic("LG301", "error", "open", Label(Span(file, 4, 4)))])
    assert text.splitlines()[-1] == "  |     ^"


def test_control_characters_never_reach_the_terminal() -> None:
    finding = at("a: XX", "XX", message="unknown key `\x1b]0;owned\x07`")
    for text in (render_full([finding]), render_concise([finding])):
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "\x1b[1;31m" in render_full([finding], colour=True)


def test_an_invisible_character_is_underlined_as_it_is_shown() -> None:
    lines = render_full([at("name: a\u200bb # c", "\u200b")]).splitlines()
    assert lines[3:5] == ["1 | name: a<U+200B>b # c", "  |        ^^^^^^^^"]
    assert "`a<U+200B>b`" in render_concise([at("a: XX", "XX", message="unknown key `a\u200bb`")])


def test_concise_is_one_line_a_finding() -> None:
    finding = at("a: 1\nb: XX\n", "XX")
    nowhere = Diagnostic("LG001", "error", "gone", None)
    assert render_concise([finding, nowhere]) == "f.yaml:2:4: error[LG201] wrong\nerror[LG001] gone\n"


def test_json_has_a_version_and_exact_places() -> None:
    body = json.loads(render_json([at("a: 1\nb: XX\n", "XX", "1")], ["f.yaml"]))
    assert body == {
        "version": 1,
        "files": ["f.yaml"],
        "errors": 1,
        "warnings": 0,
        "diagnostics": [
            {
                "code": "LG201",
                "severity": "error",
                "message": "wrong",
                "help": "mend it",
                "path": "f.yaml",
                "start": {"line": 2, "column": 4},
                "end": {"line": 2, "column": 6},
                "label": "",
                "related": [
                    {
                        "path": "f.yaml",
                        "start": {"line": 1, "column": 4},
                        "end": {"line": 1, "column": 5},
                        "label": "see 1",
                    }
                ],
                "fix": None,
            }
        ],
    }


def test_colour_follows_the_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())


def test_the_summary_counts() -> None:
    error, warning = at("a", "a"), Diagnostic("LG308", "warning", "w", None)
    assert summary([error, warning, error], 2) == "2 files checked: 2 errors and 1 warning"
    assert summary([], 1) == "1 file checked: no problems"
