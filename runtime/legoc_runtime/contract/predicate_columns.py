"""Predicates over a whole schedule at once: one column of values a subexpression, each worked out once.

The same meaning as `predicate.holds`, level by level; 10,000 levels and hundreds of predicates take moments.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import assert_never

from legoc_runtime.contract.predicate import (
    BOOL_NAMES,
    Arithmetic,
    Call,
    Compare,
    CompareOp,
    Expr,
    Logic,
    Name,
    Negate,
    Not,
    Number,
    call,
    divide,
    timestep,
)
from legoc_runtime.contract.schedule import Level

_COMPARE: dict[CompareOp, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
}
_Column = list[float] | float
"""A number at every level; a constant where all are one number."""


class Columns:
    """Predicates evaluated over one schedule.

    Truth values are whole numbers with a byte a level, the first level the lowest byte, each 0 or 1: `and`, `or` and
    `not` over all levels are one operation, and so are equality and counting.

    Attributes:
        levels: the schedule.
        everywhere: the truth value that holds at every level.
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = tuple(levels)
        self.everywhere = int.from_bytes(b"\1" * len(self.levels), "little")
        self._numbers: dict[Expr, _Column] = {}
        self._truths: dict[Expr, int] = {}

    def held(self, predicate: Expr) -> bytes:
        """For every level whether the predicate holds, as a byte 0 or 1.

        Raises:
            UsageError: it reads `t`, and the levels belong to a diffusion without timesteps.
        """
        return self.unpacked(self.truth(predicate))

    def unpacked(self, truth: int) -> bytes:
        """A truth value as a byte 0 or 1 a level."""
        return truth.to_bytes(len(self.levels), "little")

    def truth(self, expr: Expr) -> int:
        """Where the predicate holds, packed."""
        if (known := self._truths.get(expr)) is None:
            known = self._truths[expr] = self._truth(expr)
        return known

    def _truth(self, expr: Expr) -> int:
        match expr:
            case Name(name) if name in BOOL_NAMES:
                return _packed(bytes(bool(getattr(level, name)) for level in self.levels))
            case Not(operand):
                return self.everywhere ^ self.truth(operand)
            case Logic("and", operands):
                truth = self.everywhere
                for operand in operands:
                    truth &= self.truth(operand)
                return truth
            case Logic("or", operands):
                truth = 0
                for operand in operands:
                    truth |= self.truth(operand)
                return truth
            case Compare(first, links):
                truth, left = self.everywhere, first
                for op, right in links:
                    truth &= self._compared(op, self._number(left), self._number(right))
                    left = right
                return truth
            case _:
                raise TypeError(f"not a truth value: {expr}")

    def _compared(self, op: CompareOp, left: _Column, right: _Column) -> int:
        compare = _COMPARE[op]
        if not isinstance(left, list) and not isinstance(right, list):
            return self.everywhere if compare(left, right) else 0
        return _packed(bytes(map(compare, _each(left), _each(right))))

    def _number(self, expr: Expr) -> _Column:
        if (known := self._numbers.get(expr)) is None:
            known = self._numbers[expr] = self._column(expr)
        return known

    def _column(self, expr: Expr) -> _Column:
        match expr:
            case Number(value):
                return value
            case Name("t"):
                return [timestep(level) for level in self.levels]
            case Name(name) if name not in BOOL_NAMES:
                return [float(getattr(level, name)) for level in self.levels]
            case Negate(operand):
                return self._mapped(_negated, operand)
            case Arithmetic(op, left, right):
                return self._mapped(_ARITHMETIC[op], left, right)
            case Call(function, arguments):
                return self._mapped(lambda *values: call(function, values), *arguments)
            case Name() | Not() | Logic() | Compare():
                raise TypeError(f"not a number: {expr}")
            case _:
                assert_never(expr)

    def _mapped(self, function: Callable[..., float], *operands: Expr) -> _Column:
        columns = [self._number(operand) for operand in operands]
        constants = [column for column in columns if not isinstance(column, list)]
        if len(constants) == len(columns):
            return function(*constants)
        return list(map(function, *map(_each, columns)))


def size(expr: Expr) -> int:
    """The operations of a predicate: what it costs a level at most."""
    match expr:
        case Number() | Name():
            return 0
        case Negate(operand) | Not(operand):
            return 1 + size(operand)
        case Arithmetic(_, left, right):
            return 1 + size(left) + size(right)
        case Call(_, operands):
            return len(operands) + sum(map(size, operands))
        case Logic(_, operands):
            return sum(map(size, operands))  # a whole schedule in one operation
        case Compare(first, links):
            return len(links) + size(first) + sum(size(operand) for _, operand in links)
        case _:
            assert_never(expr)


def _negated(value: float) -> float:
    return -value


def _packed(truths: bytes) -> int:
    return int.from_bytes(truths, "little")


def _each(column: _Column) -> Sequence[float] | repeat[float]:
    return column if isinstance(column, list) else repeat(column)
