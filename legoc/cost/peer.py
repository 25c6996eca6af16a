"""The yardstick of the field: DiT-XL/2 on the same grid, as a stack of one image-brick."""

from __future__ import annotations

from legoc_runtime.contract.stack import BrickShape, DdpmConstants, StackShape

PEER_NAME = "DiT-XL/2"
PATCH, WIDTH, DEPTH, HEADS, CLASSES = 2, 1152, 28, 16, 1000


def dit_xl_2(grid: tuple[int, int], channels: int) -> StackShape | None:
    """DiT-XL/2 (Peebles and Xie 2023, Table 1) on a grid, or None where its patches of 2x2 do not divide the grid.

    On 32x32 latents of 4 channels it is the published model: 674,834,720 parameters, 118.62 GMACs. It predicts the
    variance beside the noise, reads no coordinates and has a table of 1000 classes.

    Args:
        grid: height and width, in pixels or latents.
        channels: channels of the image.
    """
    if any(side % PATCH for side in grid):
        return None
    brick = BrickShape(
        id="dit",
        window=grid,
        grid=grid,
        receptive_field=PATCH,
        depth=DEPTH,
        width=WIDTH,
        heads=HEADS,
        mlp_ratio=4.0,
        channels=channels,
        coordinates=0,
        takes_estimate=False,
        condition_width=WIDTH,
        variance_channels=channels,
    )
    return StackShape(
        channels=channels,
        grid=grid,
        classes=CLASSES,
        label_form="table",
        coordinates="none",
        condition_width=WIDTH,
        carry="raw",
        diffusion=DdpmConstants(variance="learned_range"),
        bricks=(brick,),
    )
