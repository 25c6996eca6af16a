"""The predicate language: a recursive-descent parser that checks kinds as it goes and knows where everything stands.

or_test    = and_test {"or" and_test}
and_test   = not_test {"and" not_test}
not_test   = "not" not_test | comparison
comparison = sum {("<" | "<=" | ">" | ">=" | "==" | "!=") sum}
sum        = product {("+" | "-") product}
product    = unary {("*" | "/") unary}
unary      = "-" unary | atom
atom       = number | name | function "(" or_test {"," or_test} ")" | "(" or_test ")"
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, cast

from legoc.spec.predicate_tokens import PredicateError, Token, tokenize
from legoc.spec.suggest import close
from legoc_runtime.contract.predicate import (
    BOOL_NAMES,
    COMPARE_OPS,
    FUNCTIONS,
    NUMBER_NAMES,
    TIMESTEP_NAMES,
    Arithmetic,
    ArithmeticOp,
    Call,
    Compare,
    CompareOp,
    Expr,
    Logic,
    LogicOp,
    Name,
    Negate,
    Not,
    Number,
    constant,
)

MAX_CHARACTERS = 500
MAX_DEPTH = 32

Kind = Literal["number", "truth value", "unknown"]

_KEYWORDS = ("and", "or", "not")
_NAME_HINTS = {
    "t": "`t` counts the timesteps of DDPM; EDM has `sigma`, `progress` and `step`",
    "time": "say it by `sigma`, `progress` or `step`",
    "timestep": "the index of a noise level is `step`",
    "i": "the index of a noise level is `step`",
    "n": "the number of noise levels is `steps`",
    "num_steps": "the number of noise levels is `steps`",
    "step_frac": "the share of the schedule that is done is `progress`",
    "frac": "the share of the schedule that is done is `progress`",
    "noise": "the noise level is `sigma`",
    "snr": "the logarithm of the signal-to-noise ratio is `log_snr`",
    "logsnr": "the logarithm of the signal-to-noise ratio is `log_snr`",
    "cfg": "`guided` says whether guidance acts",
    "guidance": "`guided` says whether guidance acts",
    "true": "there are no truth values to write; `sigma > 0` always holds",
    "false": "there are no truth values to write; a brick without a predicate always runs",
    "if": "there is no conditional: use `and`, `or`, `not`",
    "e": "write the number, 2.718",
    "pi": "write the number, 3.1416",
}
_FUNCTION_HINTS = {
    "ln": "the natural logarithm is `log`",
    "sqrt": "compare squares instead",
    "pow": "multiply instead",
}


class Parsed(NamedTuple):
    """A part of a predicate: its tree, its kind, its depth, and the characters that it takes."""

    expr: Expr
    kind: Kind
    start: int
    end: int
    depth: int = 1


def parse(text: str, *, timesteps: bool = False, guess: bool = True) -> tuple[Expr | None, list[PredicateError]]:
    """Parse and check a predicate.

    Args:
        text: the predicate; its value must be true or false.
        timesteps: whether the diffusion has timesteps, so that `t` is a name.
        guess: whether unknown names are told what they were meant to be.

    Returns:
        The tree with what is doubtful: LG313 a constant that makes it mean nothing. Or None with what is wrong: LG301
        syntax, LG302 unknown names (all of them), LG303 kinds, LG304 size.
    """
    parser = _Parser(text, NUMBER_NAMES + (TIMESTEP_NAMES if timesteps else ()) + BOOL_NAMES, guess)
    try:
        parsed = parser.whole()
    except PredicateError as error:
        return None, [*parser.errors, error]
    return (None, parser.errors) if parser.errors else (parsed.expr, parser.doubts)


class _Parser:
    def __init__(self, text: str, names: tuple[str, ...], guess: bool) -> None:
        self.text = text
        self.names = names
        self.guess = guess
        self.errors: list[PredicateError] = []
        self.doubts: list[PredicateError] = []
        self.tokens: list[Token] = []
        self.at = 0
        self.nesting = 0

    # Tokens ----------------------------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def at_end(self) -> bool:
        return self.token.kind == "end"

    def advance(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def take(self, *texts: str) -> Token | None:
        token = self.token
        if token.kind in ("op", "name") and token.text in texts:
            return self.advance()
        return None

    def expect(self, text: str, opened: Token) -> Token:
        if token := self.take(text):
            return token
        raise self.wrong(f"`{text}`, which closes the `(` at character {opened.start + 1}")

    def wrong(self, expected: str) -> PredicateError:
        token = self.token
        help = fix = None
        if token.kind == "name" and token.text.lower() in _KEYWORDS and token.text not in _KEYWORDS:
            fix = token.text.lower()
            help = f"write `{fix}` in small letters"
        end = max(token.end, min(token.start + 1, len(self.text)))
        return PredicateError("LG301", f"expected {expected}, found {token}", token.start, end, help=help, fix=fix)

    # Grammar ---------------------------------------------------------------------------------------------------

    def whole(self) -> Parsed:
        if len(self.text) > MAX_CHARACTERS:
            message = f"a predicate of {len(self.text):,} characters; at most {MAX_CHARACTERS} are allowed"
            raise PredicateError("LG304", message, 0, MAX_CHARACTERS, help="say it with fewer terms")
        self.tokens = tokenize(self.text)
        if self.at_end():
            help = "remove it: a brick without a predicate always runs"
            raise PredicateError("LG301", "the predicate is empty", 0, len(self.text), help=help)
        parsed = self.or_test()
        if not self.at_end():
            raise self.wrong("an operator or the end")
        if parsed.kind == "number":
            what = self.text[parsed.start : parsed.end]
            help = f"compare it with something, as in `{what} < 1`" if len(what) < 40 else "compare it with something"
            message = f"a predicate must be true or false; `{_short(what)}` is a number"
            raise PredicateError("LG303", message, parsed.start, parsed.end, help=help)
        return parsed

    def or_test(self) -> Parsed:
        return self.logic("or", self.and_test)

    def and_test(self) -> Parsed:
        return self.logic("and", self.not_test)

    def logic(self, op: LogicOp, operand: Callable[[], Parsed]) -> Parsed:
        parts = [operand()]
        while self.take(op):
            parts.append(operand())
        if len(parts) == 1:
            return parts[0]
        for part in parts:
            self.require(part, "truth value", f"`{op}` joins truth values")
        return self.join(Logic(op, tuple(part.expr for part in parts)), "truth value", parts)

    def not_test(self) -> Parsed:
        if not (token := self.take("not")):
            return self.comparison()
        operand = self.nested(self.not_test, token)
        self.require(operand, "truth value", "`not` takes a truth value")
        return self.join(Not(operand.expr), "truth value", [operand], start=token.start)

    def comparison(self) -> Parsed:
        parts = [self.sum()]
        links: list[tuple[CompareOp, Expr]] = []
        while op := self.take(*COMPARE_OPS):
            parts.append(self.sum())
            links.append((cast("CompareOp", op.text), parts[-1].expr))
        if not links:
            return parts[0]
        for part in parts:
            self.require(part, "number", "numbers are compared")
        return self.join(Compare(parts[0].expr, tuple(links)), "truth value", parts)

    def sum(self) -> Parsed:
        return self.arithmetic(("+", "-"), self.product)

    def product(self) -> Parsed:
        return self.arithmetic(("*", "/"), self.unary)

    def arithmetic(self, ops: tuple[str, str], operand: Callable[[], Parsed]) -> Parsed:
        left = operand()
        while op := self.take(*ops):
            right = operand()
            for part in (left, right):
                self.require(part, "number", f"`{op.text}` takes numbers")
            if op.text == "/" and constant(right.expr) == 0:
                help = "it gives an infinity, and 0 / 0 no number, with which no comparison but `!=` holds"
                self.doubt(right, "this divides by 0", help)
            expr = Arithmetic(cast("ArithmeticOp", op.text), left.expr, right.expr)
            left = self.join(expr, "number", [left, right])
        return left

    def unary(self) -> Parsed:
        if not (token := self.take("-")):
            return self.atom()
        operand = self.nested(self.unary, token)
        self.require(operand, "number", "`-` takes a number")
        return self.join(Negate(operand.expr), "number", [operand], start=token.start)

    def atom(self) -> Parsed:
        token = self.token
        if token.kind == "number":
            return self.number(self.advance())
        if token.kind == "name" and token.text.lower() not in _KEYWORDS:
            self.advance()
            return self.call(token) if self.token.text == "(" else self.name(token)
        if opened := self.take("("):
            inner = self.nested(self.or_test, opened)
            closed = self.expect(")", opened)
            return Parsed(inner.expr, inner.kind, opened.start, closed.end, inner.depth)
        raise self.wrong("a number, a name or `(`")

    def number(self, token: Token) -> Parsed:
        value = float(token.text)
        if math.isinf(value):
            raise PredicateError("LG301", "a number that is too large", token.start, token.end)
        return Parsed(Number(value), "number", token.start, token.end)

    def name(self, token: Token) -> Parsed:
        if token.text in FUNCTIONS:
            help = f"write `{token.text}(...)`"
            raise PredicateError("LG301", f"`{token.text}` is a function", token.start, token.end, help=help)
        if token.text not in self.names:
            self.errors.append(_unknown_name(token, self.names, self.guess))
            return Parsed(Number(0.0), "unknown", token.start, token.end)
        kind: Kind = "truth value" if token.text in BOOL_NAMES else "number"
        return Parsed(Name(token.text), kind, token.start, token.end)

    def call(self, function: Token) -> Parsed:
        if function.text in self.names:
            message = f"`{function.text}` is a value, not a function"
            raise PredicateError("LG301", message, function.start, function.end, help=f"write `{function.text}` alone")
        opened = self.advance()
        arguments = [self.nested(self.or_test, opened)]
        while self.take(","):
            arguments.append(self.nested(self.or_test, opened))
        closed = self.expect(")", opened)
        if function.text not in FUNCTIONS:
            self.errors.append(_unknown_function(function, self.guess))
            return Parsed(Number(0.0), "unknown", function.start, closed.end)
        for argument in arguments:
            self.require(argument, "number", f"`{function.text}` takes numbers")
        one = function.text in ("abs", "log")
        if (len(arguments) != 1) if one else (len(arguments) < 2):
            message = (
                f"`{function.text}` takes {'one number' if one else 'two numbers or more'}, found {len(arguments)}"
            )
            raise PredicateError("LG301", message, function.start, closed.end)
        if function.text == "log" and (value := constant(arguments[0].expr)) is not None and not value > 0:
            help = "it is minus infinity at 0, and below no number, with which no comparison but `!=` holds"
            self.doubt(arguments[0], f"this takes the logarithm of {value:g}", help)
        expr = Call(function.text, tuple(argument.expr for argument in arguments))
        parsed = self.join(expr, "number", arguments, start=function.start)
        return Parsed(parsed.expr, parsed.kind, parsed.start, closed.end, parsed.depth)

    # Checks ----------------------------------------------------------------------------------------------------

    def nested(self, parse: Callable[[], Parsed], opened: Token) -> Parsed:
        """One level deeper; the bound keeps recursion, here and in every reader of the tree, shallow."""
        self.nesting += 1
        if self.nesting > MAX_DEPTH:
            raise _too_deep(opened.start, opened.end)
        parsed = parse()
        self.nesting -= 1
        return parsed

    def join(self, expr: Expr, kind: Kind, parts: list[Parsed], *, start: int | None = None) -> Parsed:
        depth = 1 + max(part.depth for part in parts)
        start = parts[0].start if start is None else start
        if depth > MAX_DEPTH:
            raise _too_deep(start, parts[-1].end)
        return Parsed(expr, kind, start, parts[-1].end, depth)

    def doubt(self, part: Parsed, message: str, help: str) -> None:
        """Note a constant that is legal and cannot be meant."""
        self.doubts.append(PredicateError("LG313", message, part.start, part.end, help=help))

    def require(self, part: Parsed, kind: Kind, why: str) -> None:
        if part.kind in (kind, "unknown"):
            return
        what = _short(self.text[part.start : part.end])
        article = "a number" if part.kind == "number" else "true or false"
        help = None
        if kind == "truth value":
            help = f"compare it with something, as in `{what} < 1`"
        elif what in BOOL_NAMES:
            help = f"write `{what}` alone, or `not {what}`"
        message = f"{why}; `{what}` is {article}"
        self.errors.append(PredicateError("LG303", message, part.start, part.end, help=help))


def _too_deep(start: int, end: int) -> PredicateError:
    message = f"a predicate with more than {MAX_DEPTH} levels of operations"
    return PredicateError("LG304", message, start, end, help="say it with fewer terms")


def _unknown_name(token: Token, names: tuple[str, ...], guess: bool) -> PredicateError:
    help = _NAME_HINTS.get(token.text.lower())
    if help is None:
        meant = close(token.text, names) if guess else None
        help = f"did you mean `{meant}`?" if meant else f"the names are {', '.join(names)}"
    return PredicateError("LG302", f"unknown name `{token.text}`", token.start, token.end, help=help)


def _unknown_function(token: Token, guess: bool) -> PredicateError:
    help = _FUNCTION_HINTS.get(token.text.lower())
    if help is None:
        meant = close(token.text, FUNCTIONS) if guess else None
        help = f"did you mean `{meant}`?" if meant else f"the functions are {', '.join(FUNCTIONS)}"
    return PredicateError("LG302", f"unknown function `{token.text}`", token.start, token.end, help=help)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
