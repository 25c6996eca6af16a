"""Small steps that passes over programs are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from legoc_runtime.contract.program import INPUT_FIELDS, Op, Program, Value, ValueType, inputs_of, outputs_of


def reading(op: Op, instead: Mapping[Value, Value]) -> Op:
    """The operation with the values that it reads replaced."""
    changed: dict[str, Value | tuple[Value, ...]] = {}
    for name in INPUT_FIELDS[op.name]:
        read: Value | tuple[Value, ...] | None = getattr(op, name)
        if isinstance(read, tuple):
            changed[name] = tuple(instead.get(value, value) for value in read)
        elif read is not None:
            changed[name] = instead.get(read, read)
    return replace(op, **changed)


def definitions(program: Program) -> dict[Value, Op]:
    """Value -> the operation that defines it; arguments are missing."""
    return {value: op for op in program.ops for value in outputs_of(op)}


def without_dead(program: Program) -> Program:
    """The program without operations whose results nothing reads."""
    alive = {value for _, value in program.outputs}
    kept: list[Op] = []
    for op in reversed(program.ops):
        if alive.isdisjoint(outputs_of(op)):
            continue
        alive.update(inputs_of(op))
        kept.append(op)
    return with_ops(program, reversed(kept))


def with_ops(program: Program, ops: Iterable[Op], types: Mapping[Value, ValueType] | None = None) -> Program:
    """The program with other operations; types of values that are gone are dropped.

    Args:
        program: the program.
        ops: all its new operations, in order.
        types: of values that are new.
    """
    ops = tuple(ops)
    known = {**program.types, **(types or {})}
    values = [name for name, _ in program.inputs]
    values += [value for op in ops for value in outputs_of(op)]
    return replace(program, ops=ops, types={value: known[value] for value in values if value in known})
