"""Predicates as text: tokens with positions, and words for what people write by habit from other languages."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Literal, NamedTuple

TokenKind = Literal["number", "name", "op", "end"]

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<op><=|>=|==|!=|[-+*/<>(),])"
    r"|(?P<other>&&|\|\||.)",
    re.DOTALL,
)

_FOREIGN = {
    "&&": "write `and`",
    "&": "write `and`",
    "||": "write `or`",
    "|": "write `or`",
    "!": "write `not`",
    "~": "write `not`",
    "=": "write `==` to compare",
    "**": "there is no power: multiply, as in `sigma * sigma`",
    "^": "there is no power: multiply, as in `sigma * sigma`",
    "//": "write `/`",
    "%": "write a share as a number: 40% is `0.4`",
    "<>": "write `!=`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "σ": "write `sigma`",
    ".": "a value has no attributes: use names, numbers and `min max abs log`",
    "[": "there are no lists: use names, numbers and `min max abs log`",
    "{": "there are no sets: use names, numbers and `min max abs log`",
    "'": "there is no text in a predicate: use names, numbers and `min max abs log`",
    '"': "there is no text in a predicate: use names, numbers and `min max abs log`",
    "?": "there is no conditional: use `and`, `or`, `not`",
}

_SAME_MEANING = {"&&": "and", "||": "or", "≤": "<=", "≥": ">=", "≠": "!=", "σ": "sigma"}


class PredicateError(Exception):
    """A predicate that is wrong at characters `start` up to `end` of its text.

    Attributes:
        fix: what must have been meant there, where that is certain.
    """

    def __init__(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        *,
        help: str | None = None,
        label: str = "",
        fix: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.start, self.end = code, message, start, end
        self.help, self.label, self.fix = help, label, fix


class Token(NamedTuple):
    """A token: characters `start` up to `end`."""

    kind: TokenKind
    text: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"`{self.text}`" if self.kind != "end" else "the end"


def tokenize(text: str) -> list[Token]:
    """The tokens of a predicate, an `end` last.

    Raises:
        PredicateError: LG301, a character that has no place in a predicate.
    """
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None, "the last alternative takes any character"
        kind, piece = match.lastgroup, match[0]
        doubled = next((two for two in ("**", "//", "<>") if text.startswith(two, at)), None)
        if kind == "other" or doubled:
            wrong = doubled or piece
            raise PredicateError(
                "LG301",
                f"`{wrong}` is not part of a predicate",
                at,
                at + len(wrong),
                help=_FOREIGN.get(wrong),
                fix=_fix(text, at, wrong),
            )
        if kind == "number":
            tokens.append(Token("number", piece, at, match.end()))
        elif kind == "name":
            tokens.append(Token("name", piece, at, match.end()))
        elif kind == "op":
            tokens.append(Token("op", piece, at, match.end()))
        at = match.end()
    end = len(text.rstrip())
    return [*tokens, Token("end", "", end, end)]


def _fix(text: str, at: int, wrong: str) -> str | None:
    """The operator of this language that means the same; with spaces where a word would touch its neighbours."""
    meant, end = _SAME_MEANING.get(wrong), at + len(wrong)
    if wrong == "!" and _negates_whole_operand(text, end):
        meant = "not"
    if meant is None or not meant.isalpha():
        return meant
    touches_before = bool(re.match(r"\w", text[at - 1 : at]))
    touches_after = bool(re.match(r"[\w(]", text[end : end + 1]))
    return " " * touches_before + meant + " " * touches_after


def _negates_whole_operand(text: str, at: int) -> bool:
    """Whether `!` binds what `not` would: a name alone or a parenthesis, with no comparison or sum behind it."""
    operand = text[at:].lstrip()
    if operand.startswith("guided"):
        rest = operand.removeprefix("guided")
    elif operand.startswith("("):
        depths = accumulate((character == "(") - (character == ")") for character in operand)
        closed = next((end for end, depth in enumerate(depths, 1) if depth == 0), len(operand))
        rest = operand[closed:]
    else:
        return False
    return re.match(r"\s*($|\)|&&|\|\||and\b|or\b)", rest) is not None
