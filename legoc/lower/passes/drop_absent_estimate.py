"""Do not multiply the zeros that stand for a missing estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from legoc.lower.passes.rewrite import definitions, with_ops, without_dead
from legoc_runtime.contract.pass_ops import EmbedChannels
from legoc_runtime.contract.program import Embed, NoEstimate, Op, Partition, Program, Value, ValueType
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.contract.value_types import Tokens


@dataclass(frozen=True)
class DropAbsentEstimate:
    """A brick with a slot for an estimate and no brick below embeds the columns of what is there.

    Exact: the columns left out would have been multiplied by zeros.
    """

    name: ClassVar[str] = "drop-absent-estimate"

    def apply(self, program: Program, shape: StackShape) -> Program:
        """The program without zeros among the images that are cut."""
        absent = {op.out for op in program.ops if isinstance(op, NoEstimate)}
        made = definitions(program)
        cut_less: dict[Value, Op] = {}
        types: dict[Value, ValueType] = {}
        ops: list[Op] = []
        for op in program.ops:
            source = made.get(op.tokens) if isinstance(op, Embed) else None
            if isinstance(op, Embed) and isinstance(source, Partition) and source.images[0] in absent:
                brick = shape.brick(op.brick)
                count = brick.in_channels - shape.channels
                cut_less[source.out] = replace(source, images=source.images[1:])
                types[source.out] = Tokens(brick.windows, brick.tokens, count * brick.receptive_field**2)
                op = EmbedChannels(brick=op.brick, first=shape.channels, count=count, tokens=op.tokens, out=op.out)
            ops.append(op)
        # a Partition has one reader, the embedding of its brick, or the windows taken for it
        return without_dead(with_ops(program, (cut_less.get(_name(op), op) for op in ops), types))


def _name(op: Op) -> Value:
    return op.out if isinstance(op, Partition) else ""
