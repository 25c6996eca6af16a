"""A DiT by the names and shapes of its weights: the stack of one brick that computes what it does."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from legoc_runtime.contract.stack import BrickShape, DdpmConstants, StackShape

HEADS = {384: 6, 768: 12, 1024: 16, 1152: 16}
"""Heads of the published models by their width (DiT, Table 1; LEGO, Table 5), which shapes do not tell."""

BRICK = "dit"
"""Id of the one brick."""

_BLOCK = re.compile(r"blocks\.(\d+)\.")


class NoDitError(Exception):
    """The shapes are no DiT's, or do not say all; the message says why, `help` what to do."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


def dit_stack(shapes: Mapping[str, tuple[int, ...]], heads: int | None) -> StackShape:
    """The stack of one image-brick on DDPM's chain of 1000 steps that a DiT is.

    Args:
        shapes: name, as DiT's public code has it, -> shape of every weight.
        heads: attention heads; None takes those of the published model of this width.

    Raises:
        NoDitError: they are not those of a DiT, or nothing says its heads.
    """
    width, channels, patch, across = _of(shapes, "x_embedder.proj.weight", 4)
    _, tokens, _ = _of(shapes, "pos_embed", 3)
    rows, _ = _of(shapes, "y_embedder.embedding_table.weight", 2)
    out, _ = _of(shapes, "final_layer.linear.weight", 2)
    hidden, _ = _of(shapes, "blocks.0.mlp.fc1.weight", 2)
    learns_variance = out == 2 * channels * patch**2
    if (out != channels * patch**2 and not learns_variance) or patch != across or math.isqrt(tokens) ** 2 != tokens:
        raise NoDitError("the shapes of its weights are not those of a DiT")
    if rows < 2:
        raise NoDitError("it knows no class beside the null label")
    count = _heads(width, heads)
    side = math.isqrt(tokens) * patch
    brick = BrickShape(
        id=BRICK,
        window=(side, side),
        grid=(side, side),
        receptive_field=patch,
        depth=1 + max(int(found[1]) for name in shapes if (found := _BLOCK.match(name))),
        width=width,
        heads=count,
        mlp_ratio=hidden / width,
        channels=channels,
        coordinates=0,
        takes_estimate=False,
        condition_width=width,
        variance_channels=channels if learns_variance else 0,
    )
    return StackShape(
        channels=channels,
        grid=(side, side),
        classes=rows - 1,
        label_form="table",
        coordinates="none",
        condition_width=width,
        carry="x0",
        diffusion=DdpmConstants(variance="learned_range" if learns_variance else "fixed_large"),
        bricks=(brick,),
    )


def _heads(width: int, heads: int | None) -> int:
    found = HEADS.get(width) if heads is None else heads
    if found is None:
        raise NoDitError(
            f"no published DiT has the width {width}, and shapes do not tell how many heads attend", "write `heads: N`"
        )
    if width % found:
        raise NoDitError(f"{found} heads do not share out its width {width}", "write the `heads` that it was made with")
    return found


def _of(shapes: Mapping[str, tuple[int, ...]], name: str, dimensions: int) -> tuple[int, ...]:
    shape = shapes.get(name, ())
    if len(shape) != dimensions or not all(side > 0 for side in shape):
        raise NoDitError(f"it has no weight `{name}` of {dimensions} dimensions", "check its `kind`")
    return shape
