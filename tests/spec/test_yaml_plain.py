"""YAML read in one pass gives event by event what ruamel gives, or nothing at all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from legoc.spec.yaml_event import NotYamlError, YamlEvent
from legoc.spec.yaml_plain import MAX_DEPTH, plain_events
from legoc.spec.yaml_ruamel import ruamel_events

ROOT = Path(__file__).parents[2]
PRESETS = sorted((ROOT / "specs").rglob("*.yaml"))
FIXTURES = sorted(path for path in (ROOT / "tests/diagnostics/fixtures").rglob("*.yaml") if path.is_file())

PIECES = [
    *" :-?[]{},#\"'&*!|>%@`\\\t\r\n~$./=",
    *("  ", ": ", " # c", "- ", "- - ", "? ", ", ", "\n  ", "\n    ", "\n- ", "\nk: v", "\n---\n", "...", "\ufeff"),
    *("\n...", "[\n..."),
    *("\u00a0", "\u2028", "\u0085", "é", "<<: ", "a: b", "{a: 1}", "[1, 2]", '"x"', "'y'", "''", '""', "null", "-1"),
    *("\n# c\n", "\n #c\n", "- {", "- [", ": -", ",\n", ",#c\n", "[\n", "\n]", "\n}", "a: ", "&a ", "*a", "!t "),
]


def both(text: str) -> tuple[list[YamlEvent] | None, list[YamlEvent] | str]:
    try:
        whole = list(ruamel_events(text))
    except NotYamlError as error:
        return plain_events(text), error.message
    return plain_events(text), whole


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_is_plain_and_read_alike(path: Path) -> None:
    plain, whole = both(path.read_text(encoding="utf-8"))
    assert plain == whole


def test_what_is_plain_of_the_faulty_specs_is_read_alike() -> None:
    plain = 0
    for path in FIXTURES:
        text = path.read_bytes().decode(errors="replace")
        mine, whole = both(text)
        assert mine is None or mine == whole, path
        plain += mine is not None
    assert plain > len(FIXTURES) / 2


def changed(rng: random.Random, text: str) -> str:
    """A few lines of a text, with pieces put in, taken out, and lines indented otherwise."""
    lines = text.split("\n")
    start = rng.randrange(len(lines))
    lines = lines[start : start + rng.randint(1, 8)]
    if rng.random() < 0.3:
        at = rng.randrange(len(lines))
        lines[at] = " " * rng.randint(0, 6) + lines[at].lstrip()
    text = "\n".join(lines)
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(["", *PIECES, *PIECES]) + text[at + rng.choice([0, 0, 1, 3]) :]
    return text


def test_thousands_of_changed_texts_are_read_alike() -> None:
    rng = random.Random(7)
    texts = [path.read_text(encoding="utf-8") for path in PRESETS]
    plain = 0
    for _ in range(3000):
        text = changed(rng, rng.choice(texts))
        mine = plain_events(text)
        if mine is not None:
            plain += 1
            assert (mine, mine) == both(text), text
    assert plain > 500


@pytest.mark.parametrize(
    "text",
    [
        *("", "# c\n", "a\n", "[a]\n", "{a: 1}\n", " a: 1\nb: 2\n", "a: 1\n b: 2\n", "a:\n- 1\n", "a: b: c\n"),
        *("a: 'b\n", "a: b\n c\n", "a: {b: c\n  d}\n", "a: [b c: d]\n", "a: {b, c}\n", "a: {b: }\n"),
        *("a: [1,,2]\n", "a: {b: 1}}\n", "a: &x 1\n", "a: *x\n", "a: !t 1\n", "a: |\n  b\n", "a: >\n  b\n"),
        *("---\na: 1\n", "a: 1\n...\n", "%YAML 1.2\n", "a: 'it''s'\n", 'a: "\\n"\n', "a:\t1\n", "a: 1\r\n"),
        *("\ufeffa: 1\n", "a: \u2028\n", "? a\n: b\n", "- \n  a\n", "a: @b\n", "a: `b\n", "a: %b\n"),
        *("a: - b\n", "a: ? b\n", "a b: c\n", '"a": c\n', "<<: b\n", "a:b\n", "-a\n"),
        *("a: [\n...\n]\n", "a: [1,\n... ]\n"),
    ],
    ids=repr,
)
def test_the_rest_is_left_to_ruamel(text: str) -> None:
    assert plain_events(text) is None


@pytest.mark.parametrize("opening", ["- ", "[", "{a: "])
def test_deep_nesting_is_left_to_ruamel(opening: str) -> None:
    closing = {"- ": "", "[": "]", "{a: ": "}"}[opening]
    for depth in (MAX_DEPTH, MAX_DEPTH + 1, 100_000):
        inner = f"{opening * (depth - 1)}1{closing * (depth - 1)}\n"
        assert (plain_events(f"a: {inner}" if closing else f"- {inner}") is None) == (depth > MAX_DEPTH)
