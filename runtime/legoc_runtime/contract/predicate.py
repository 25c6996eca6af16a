"""Skip predicates as trees: what a `skip:` means, without its text.

The compiler parses text to these trees and checks them; the manifest carries them as JSON; both sides evaluate them
over a concrete schedule, once, before anything is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, assert_never, cast

from legoc_runtime.contract.schedule import Level
from legoc_runtime.errors import UsageError

ArithmeticOp = Literal["+", "-", "*", "/"]
CompareOp = Literal["<", "<=", ">", ">=", "==", "!="]
LogicOp = Literal["and", "or"]
Function = Literal["min", "max", "abs", "log"]

NUMBER_NAMES = ("progress", "step", "steps", "sigma", "log_snr")
TIMESTEP_NAMES = ("t",)
"""Names that only DDPM has."""

BOOL_NAMES = ("guided",)
ARITHMETIC_OPS = ("+", "-", "*", "/")
COMPARE_OPS = ("<", "<=", ">", ">=", "==", "!=")
LOGIC_OPS = ("and", "or")
FUNCTIONS = ("min", "max", "abs", "log")
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A property of a noise level: one of `NUMBER_NAMES`, `TIMESTEP_NAMES` or `BOOL_NAMES`."""

    name: str


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left op right` on numbers."""

    op: ArithmeticOp
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """`min`, `max` (two or more numbers), `abs`, `log` (one number, natural)."""

    function: Function
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A chain such as `0.3 <= progress < 0.6`; true when every link is."""

    first: Expr
    links: tuple[tuple[CompareOp, Expr], ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`not operand`."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` over two or more operands."""

    op: LogicOp
    operands: tuple[Expr, ...]


Expr: TypeAlias = Number | Name | Negate | Arithmetic | Call | Compare | Not | Logic


def holds(predicate: Expr, level: Level) -> bool:
    """Whether the predicate is true at a noise level.

    Raises:
        UsageError: it reads `t`, and the level belongs to a diffusion without timesteps.
    """
    return _truth(predicate, level)


def _truth(expr: Expr, level: Level) -> bool:
    match expr:
        case Name(name) if name in BOOL_NAMES:
            return bool(getattr(level, name))
        case Not(operand):
            return not _truth(operand, level)
        case Logic("and", operands):
            return all(_truth(operand, level) for operand in operands)
        case Logic("or", operands):
            return any(_truth(operand, level) for operand in operands)
        case Compare(first, links):
            left = _number(first, level)
            for op, operand in links:
                right = _number(operand, level)
                if not _compare(op, left, right):
                    return False
                left = right
            return True
        case _:
            raise TypeError(f"not a truth value: {expr}")


def _number(expr: Expr, level: Level) -> float:
    match expr:
        case Number(value):
            return value
        case Name(name) if name in NUMBER_NAMES:
            return float(getattr(level, name))
        case Name("t"):
            return timestep(level)
        case Negate(operand):
            return -_number(operand, level)
        case Arithmetic(op, left, right):
            return _arithmetic(op, _number(left, level), _number(right, level))
        case Call(function, arguments):
            return call(function, [_number(argument, level) for argument in arguments])
        case _:
            raise TypeError(f"not a number: {expr}")


def timestep(level: Level) -> float:
    """`t` at a level.

    Raises:
        UsageError: the level belongs to a diffusion without timesteps.
    """
    if level.t is None:
        raise UsageError(
            "this skip policy reads `t`, the timestep of DDPM, and the stack's diffusion is EDM",
            help="say it by `sigma`, `progress` or `step`",
        )
    return float(level.t)


def _arithmetic(op: ArithmeticOp, left: float, right: float) -> float:
    """IEEE arithmetic: nothing raises; x/0 is an infinity or nan, and comparisons with nan are false."""
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return divide(left, right)
        case _:
            assert_never(op)


def divide(left: float, right: float) -> float:
    """`left / right`; by zero an infinity of the sign of `left`, or nan."""
    if right == 0:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)
    return left / right


def call(function: Function, values: Sequence[float]) -> float:
    """A function of numbers; the logarithm of 0 is an infinity, that of less is nan."""
    match function:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "abs":
            return abs(values[0])
        case "log":
            value = values[0]
            return math.log(value) if value > 0 else (-math.inf if value == 0 else math.nan)
        case _:
            assert_never(function)


def _compare(op: CompareOp, left: float, right: float) -> bool:
    match op:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "==":
            return left == right
        case "!=":
            return left != right
        case _:
            assert_never(op)


def constant(expr: Expr) -> float | None:
    """The number that an expression without names is; None for one that reads a name."""
    return None if names_in(expr) else _number(expr, Level(0, 2, 1.0))


def names_in(expr: Expr) -> frozenset[str]:
    """The names that a predicate reads."""
    match expr:
        case Number():
            return frozenset()
        case Name(name):
            return frozenset({name})
        case Negate(operand) | Not(operand):
            return names_in(operand)
        case Arithmetic(_, left, right):
            return names_in(left) | names_in(right)
        case Call(_, operands) | Logic(_, operands):
            return frozenset[str]().union(*(names_in(operand) for operand in operands))
        case Compare(first, links):
            return names_in(first).union(*(names_in(operand) for _, operand in links))
        case _:
            assert_never(expr)


# Text form ---------------------------------------------------------------------------------------------------------

_BINDING: dict[str, int] = {
    "or": 1,
    "and": 2,
    "not": 3,
    "compare": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "neg": 7,
    "atom": 8,
}


def text(expr: Expr) -> str:
    """The predicate in the language's own syntax, without needless parentheses; parses back to an equal tree."""
    return _text(expr)[0]


def _text(expr: Expr) -> tuple[str, int]:
    match expr:
        case Number(value):
            return _number_text(float(value)), _BINDING["atom"]
        case Name(name):
            return name, _BINDING["atom"]
        case Negate(operand):
            return f"-{_wrap(operand, _BINDING['neg'])}", _BINDING["neg"]
        case Not(operand):
            return f"not {_wrap(operand, _BINDING['not'])}", _BINDING["not"]
        case Arithmetic(op, left, right):
            strength = _BINDING[op]
            return f"{_wrap(left, strength)} {op} {_wrap(right, strength + 1)}", strength
        case Call(function, arguments):
            return f"{function}({', '.join(text(argument) for argument in arguments)})", _BINDING["atom"]
        case Compare(first, links):
            strength = _BINDING["compare"] + 1
            tail = "".join(f" {op} {_wrap(operand, strength)}" for op, operand in links)
            return _wrap(first, strength) + tail, _BINDING["compare"]
        case Logic(op, operands):
            strength = _BINDING[op]
            return f" {op} ".join(_wrap(operand, strength + 1) for operand in operands), strength
        case _:
            assert_never(expr)


def _number_text(value: float) -> str:
    return f"{int(value)}" if value.is_integer() and abs(value) < 1e15 else repr(value)


def _wrap(expr: Expr, strength: int) -> str:
    body, own = _text(expr)
    return body if own >= strength else f"({body})"


# JSON --------------------------------------------------------------------------------------------------------------


def to_json(expr: Expr) -> list[Any]:
    """The tree as nested lists, head first: `["<", ...]` chains are `["compare", first, op, operand, ...]`."""
    match expr:
        case Number(value):
            return ["number", value]
        case Name(name):
            return ["name", name]
        case Negate(operand):
            return ["negate", to_json(operand)]
        case Not(operand):
            return ["not", to_json(operand)]
        case Arithmetic(op, left, right):
            return [op, to_json(left), to_json(right)]
        case Call(function, operands) | Logic(function, operands):
            return [function, *(to_json(operand) for operand in operands)]
        case Compare(first, links):
            return [
                "compare",
                to_json(first),
                *(part for op, operand in links for part in (op, to_json(operand))),
            ]
        case _:
            assert_never(expr)


def from_json(data: object, depth: int = 0) -> Expr:
    """The inverse of `to_json`. Raises UsageError on anything that is not such a tree; depth is bounded."""
    if depth > MAX_DEPTH or not isinstance(data, list) or not data:
        raise UsageError("a predicate in this file is malformed", help="build it again from its spec")
    head, *rest = cast("list[Any]", data)
    match head, rest:
        case "number", [int() | float() as value]:
            return Number(float(value))
        case "name", [str(name)] if name in NUMBER_NAMES + TIMESTEP_NAMES + BOOL_NAMES:
            return Name(name)
        case "negate", [operand]:
            return Negate(from_json(operand, depth + 1))
        case "not", [operand]:
            return Not(from_json(operand, depth + 1))
        case str(op), [left, right] if op in ARITHMETIC_OPS:
            return Arithmetic(op, from_json(left, depth + 1), from_json(right, depth + 1))
        case str(op), [_, _, *_] if op in LOGIC_OPS:
            return Logic(op, tuple(from_json(operand, depth + 1) for operand in rest))
        case str(op), [_, *_] if op in FUNCTIONS:
            return Call(op, tuple(from_json(operand, depth + 1) for operand in rest))
        case "compare", [first, _, _, *_] if len(rest) % 2 == 1:
            return Compare(from_json(first, depth + 1), tuple(_links(rest[1:], depth)))
        case _:
            raise UsageError("a predicate in this file is malformed", help="build it again from its spec")


def _links(parts: list[Any], depth: int) -> list[tuple[CompareOp, Expr]]:
    links: list[tuple[CompareOp, Expr]] = []
    for op, operand in zip(parts[::2], parts[1::2], strict=True):
        if op not in COMPARE_OPS:
            raise UsageError("a predicate in this file is malformed", help="build it again from its spec")
        links.append((op, from_json(operand, depth + 1)))
    return links
