"""Add what no image changes as one constant a brick."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from legoc.lower.passes.rewrite import definitions, with_ops
from legoc_runtime.contract.pass_ops import EmbedChannels, EmbedFolded, JoinEstimate
from legoc_runtime.contract.program import Embed, Op, Partition, Program, Value, ValueType
from legoc_runtime.contract.stack import BrickShape, StackShape
from legoc_runtime.contract.value_types import Tokens

FLOAT32_BYTES = 4


@dataclass(frozen=True)
class FoldConstants:
    """Coordinate channels, bias and positions of an embedding become one constant [W, L, D], [1, L, D] without them.

    Embeddings of windows that a training step samples stay as they are: their constant would have to be gathered, a
    row of D numbers a token, where the coordinates are two numbers a pixel.

    Exact within rounding: the same products are added in another order.

    Attributes:
        max_bytes: of a brick's constant in float32; a brick whose constant is larger keeps its coordinates.
    """

    name: ClassVar[str] = "fold-constants"
    max_bytes: int = 64 * 2**20

    def apply(self, program: Program, shape: StackShape) -> Program:
        """The program in which no brick that folds reads coordinates."""
        made = definitions(program)
        ops: dict[Value, Op] = {}
        types: dict[Value, ValueType] = {}
        for op in program.ops:
            source = made.get(op.tokens) if isinstance(op, Embed | EmbedChannels) else None
            if not isinstance(op, Embed | EmbedChannels) or not isinstance(source, Partition | JoinEstimate):
                continue
            brick = shape.brick(op.brick)
            if constant_bytes(brick) > self.max_bytes:
                continue
            first = op.first if isinstance(op, EmbedChannels) else 0
            count = brick.in_channels - brick.coordinates - first
            folded = EmbedFolded(
                brick=op.brick,
                first=first,
                count=count,
                coordinates=source.coordinates,
                layout=brick.layout,
                tokens=op.tokens,
                out=op.out,
            )
            ops[op.out] = folded
            ops[source.out] = replace(source, coordinates="none")
            types[source.out] = Tokens(brick.windows, brick.tokens, count * brick.receptive_field**2)
        return with_ops(program, (ops.get(_result(op), op) for op in program.ops), types)


def constant_bytes(brick: BrickShape) -> int:
    """Bytes of a brick's constant in float32."""
    windows = brick.windows if brick.coordinates else 1
    return windows * brick.tokens * brick.width * FLOAT32_BYTES


def _result(op: Op) -> Value:
    return op.out if isinstance(op, Embed | EmbedChannels | Partition | JoinEstimate) else ""
