"""Plain scalars by YAML 1.2's core schema, and where each character of a scalar's value stands in the file."""

from __future__ import annotations

import re
from functools import lru_cache

ScalarValue = str | int | float | bool | None

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 40
"""Python refuses to read integers of thousands of digits; nothing in the language needs more than a few."""

_ESCAPE_LENGTH = {"x": 4, "u": 6, "U": 10}


def resolve_plain(text: str) -> ScalarValue:
    """The value of an unquoted scalar (YAML 1.2.2, section 10.3.2): `1e-4` is a number, `yes` and `1_000` are text."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


@lru_cache(maxsize=1)  # one scalar may be asked for the place of each of its many faults
def value_ranges(source: str, start: int, value: str, style: str | None) -> tuple[tuple[int, int], ...]:
    """Where every character of a scalar's value stands in the file: (start, end) offsets; one more for what follows.

    YAML changes only white space and escapes between a file and a value, so that all other characters can be paired in
    order. A space that stands for a line break has the (empty) range at that break.

    Args:
        source: the whole file.
        start: offset of the scalar, its quote or its block indicator included.
        value: the value as YAML reads it.
        style: `"`, `'`, `|`, `>`, or None for a plain scalar.
    """
    at = start
    if style in ("'", '"'):
        at += 1
    elif style in ("|", ">"):
        at = source.find("\n", start) + 1
    ranges: list[tuple[int, int]] = []
    for character in value:
        at, length = _next(source, at, character, style)
        ranges.append((at, at + length))
        at += length
    return (*ranges, (at, at))


def _next(source: str, at: int, character: str, style: str | None) -> tuple[int, int]:
    """Offset and length, in the file, of the next character of the value."""
    while True:
        here, following = source[at : at + 1], source[at + 1 : at + 2]
        if style == '"' and here == "\\" and following in ("\n", "\r"):
            at += 2  # an escaped line break stands for nothing
        elif style == '"' and here == "\\":
            return at, _ESCAPE_LENGTH.get(following, 2)
        elif here == character:
            return at, 2 if style == "'" and here == "'" else 1
        elif character.isspace() or not here:
            return at, 0  # a line break that became a space
        else:
            at += 1  # white space that the value does not have
