"""One matrix product for the modulations of all blocks that run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from legoc.lower.passes.rewrite import with_ops
from legoc_runtime.contract.pass_ops import ModulateTogether, SplitModulations
from legoc_runtime.contract.program import Condition, Modulate, Op, Program, Value, ValueType
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.contract.value_types import Vector


@dataclass(frozen=True)
class JoinModulations:
    """Bricks that run and are neighbours in the stack share one product, whose weights are a view of the store.

    For sampling alone: trained, the product would copy the weights of all layers a step, and their gradients back.

    Exact within rounding: every number is the same sum of the same products.
    """

    name: ClassVar[str] = "join-modulations"

    def apply(self, program: Program, shape: StackShape) -> Program:
        """The program with one product a run of neighbouring bricks."""
        modulations = [op for op in program.ops if isinstance(op, Modulate)]
        types: dict[Value, ValueType] = {}
        ops: list[Op] = []
        for op in program.ops:
            if isinstance(op, Modulate):
                continue
            ops.append(op)
            if isinstance(op, Condition):
                own = tuple(brick.id for brick in shape.own(program.bricks))
                ops.extend(_joined(op.out, modulations, own, shape, types))
        return with_ops(program, ops, types)


def _joined(
    condition: Value,
    modulations: list[Modulate],
    bricks: tuple[str, ...],
    shape: StackShape,
    types: dict[Value, ValueType],
) -> Iterator[Op]:
    for run in _neighbours(bricks, shape):
        joined = f"{'+'.join(run)}.modulations"
        types[joined] = Vector(sum(shape.brick(id).modulation_features for id in run))
        yield ModulateTogether(bricks=run, condition=condition, out=joined)
        start = 0
        for id in run:
            own = {op.block: op.out for op in modulations if op.brick == id}
            blocks = tuple(own[block] for block in range(shape.brick(id).depth))
            yield SplitModulations(brick=id, joined=joined, start=start, outs=(*blocks, own[None]))
            start += shape.brick(id).modulation_features


def _neighbours(bricks: tuple[str, ...], shape: StackShape) -> list[tuple[str, ...]]:
    """Bricks that run, bottom to top, in runs without a brick of the stack's own left out in between."""
    order = [brick.id for brick in shape.bricks]
    runs: list[tuple[str, ...]] = []
    for id in bricks:
        if runs and order.index(runs[-1][-1]) + 1 == order.index(id):
            runs[-1] = (*runs[-1], id)
        else:
            runs.append((id,))
    return runs
