"""Compute once what several operations compute alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from legoc.lower.passes.rewrite import reading, with_ops
from legoc_runtime.contract.program import Op, Program, Value, output_fields, outputs_of
from legoc_runtime.contract.stack import StackShape


@dataclass(frozen=True)
class ShareEqual:
    """Of operations that are equal but for the names of their results, keep the first.

    Exact: operations have no effects, so that equal ones give the same bits.
    """

    name: ClassVar[str] = "share-equal"

    def apply(self, program: Program, shape: StackShape) -> Program:
        """The program without repeated operations."""
        instead: dict[Value, Value] = {}
        first: dict[Op, Op] = {}
        ops: list[Op] = []
        for op in program.ops:
            renamed = reading(op, instead)
            kept = first.setdefault(_nameless(renamed), renamed)
            if kept is renamed:
                ops.append(renamed)
            else:
                instead.update(zip(outputs_of(op), outputs_of(kept), strict=True))
        outputs = tuple((name, instead.get(value, value)) for name, value in program.outputs)
        return with_ops(replace(program, outputs=outputs), ops)


def _nameless(op: Op) -> Op:
    """The operation with its results unnamed: equal for operations that compute the same."""
    nameless = {name: () if isinstance(getattr(op, name), tuple) else "" for name in output_fields(op.name)}
    return replace(op, **nameless)
