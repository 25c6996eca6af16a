"""Keep tokens in window order: from brick to brick in one step, and no image in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from legoc.lower.passes.rewrite import definitions, with_ops, without_dead
from legoc_runtime.contract.pass_ops import JoinEstimate
from legoc_runtime.contract.program import Merge, Op, Partition, Precondition, Program, ScaleImage, Value
from legoc_runtime.contract.stack import Layout, StackShape


@dataclass(frozen=True)
class WindowLayout:
    """Decoded tokens go straight into the windows and tokens of the brick above, preconditioned on the way.

    Preconditioning is one number an image, so it acts on tokens as on images; the noisy image is read where each token
    wants it and never cut by itself. Images are put together at the outputs alone. Meant for sampling: in training
    every estimate is an output, so that each is put together anyway.

    Exact: the same numbers are scaled and added, in other places.
    """

    name: ClassVar[str] = "window-layout"

    def apply(self, program: Program, shape: StackShape) -> Program:
        """The program in which no brick cuts an image that another put together."""
        made = definitions(program)
        ops = (_joined(op, made) if isinstance(op, Partition) else op for op in program.ops)
        return without_dead(with_ops(program, ops))


def _joined(op: Partition, made: Mapping[Value, Op]) -> Op:
    """What gives the same tokens from those of the brick below; the operation itself where it reads no such tokens."""
    if len(op.images) != 2:
        return op
    below, own = (made.get(image) for image in op.images)
    c_skip = c_out = None
    if isinstance(below, Precondition) and isinstance(own, ScaleImage) and below.image == own.image:
        c_skip, c_out = below.c_skip, below.c_out
        below = made.get(below.network)
    if not isinstance(below, Merge) or not isinstance(own, ScaleImage):
        return op
    return JoinEstimate(
        brick=op.brick,
        tokens=below.tokens,
        image=own.image,
        c_skip=c_skip,
        c_out=c_out,
        c_in=own.scale,
        coordinates=op.coordinates,
        source=Layout(below.window, below.receptive_field, below.offset),
        target=Layout(op.window, op.receptive_field, op.offset),
        out=op.out,
    )
