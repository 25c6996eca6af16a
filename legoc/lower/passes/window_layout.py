"""Keep tokens in window order: one permutation from brick to brick, and no image in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from legoc.lower.passes.rewrite import definitions, with_ops, without_dead
from legoc_runtime.contract.pass_ops import Cut, JoinPixels, Regroup, pixel_tokens
from legoc_runtime.contract.program import (
    Merge,
    NoEstimate,
    Op,
    Partition,
    Precondition,
    Program,
    ScaleImage,
    Value,
    ValueType,
)
from legoc_runtime.contract.stack import Layout, StackShape


@dataclass(frozen=True)
class WindowLayout:
    """What a brick reads is cut once a layout, and decoded tokens of the brick below go straight into its order.

    Preconditioning is one number an image, so it acts on tokens as on images. Images are put together at the outputs
    alone. Meant for sampling: in training every estimate is an output, so that each is put together anyway.

    Exact: numbers are moved, never changed.
    """

    name: ClassVar[str] = "window-layout"

    def apply(self, program: Program, shape: StackShape) -> Program:
        """The program in which no brick cuts images that another put together."""
        relayout = _Relayout(program, shape)
        for op in program.ops:
            if isinstance(op, Partition):
                relayout.replace(op)
            else:
                relayout.ops.append(op)
        return without_dead(with_ops(program, relayout.ops, relayout.types))


@dataclass
class _Relayout:
    """The program in the making.

    Attributes:
        ops: so far.
        types: of the values that are new.
        cut: image value and layout -> its pixel tokens.
    """

    program: Program
    shape: StackShape
    ops: list[Op] = field(default_factory=list[Op])
    types: dict[Value, ValueType] = field(default_factory=dict[Value, ValueType])
    cut: dict[tuple[Value, Layout], Value] = field(default_factory=dict[tuple[Value, Layout], Value])

    def __post_init__(self) -> None:
        self.made = definitions(self.program)

    def replace(self, op: Partition) -> None:
        """Emit what gives the same tokens as a `Partition`."""
        layout = Layout(op.window, op.receptive_field, op.offset)
        images = tuple(self.tokens(image, layout) for image in op.images)
        self.ops.append(
            JoinPixels(brick=op.brick, images=images, coordinates=op.coordinates, layout=layout, out=op.out)
        )

    def tokens(self, image: Value, layout: Layout) -> Value:
        """The pixel tokens of an image, emitted where they are not there yet."""
        if (image, layout) not in self.cut:
            op = self._tokens(image, layout)
            self.ops.append(op)
            self.types[op.out] = pixel_tokens(self.shape.channels, self.shape.grid, layout)
            self.cut[image, layout] = op.out
        return self.cut[image, layout]

    def _tokens(self, image: Value, layout: Layout) -> Cut | Regroup | Precondition | ScaleImage | NoEstimate:
        out = f"{image}@{layout}"
        match self.made.get(image):
            case Merge(tokens=tokens, grid=grid, window=window, offset=offset, receptive_field=receptive_field):
                source = Layout(window, receptive_field, offset)
                return Regroup(tokens=tokens, grid=grid, source=source, target=layout, out=out)
            case Precondition(image=noisy, network=network, c_skip=c_skip, c_out=c_out):
                return Precondition(
                    image=self.tokens(noisy, layout),
                    network=self.tokens(network, layout),
                    c_skip=c_skip,
                    c_out=c_out,
                    out=out,
                )
            case ScaleImage(image=source, scale=scale) if (source, layout) in self.cut:
                return ScaleImage(image=self.cut[source, layout], scale=scale, out=out)
            case NoEstimate(like=like):
                return NoEstimate(like=self.tokens(like, layout), out=out)
            case _:
                return Cut(image=image, layout=layout, out=out)
