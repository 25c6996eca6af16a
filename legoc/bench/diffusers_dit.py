"""The peer `diffusers-dit`: the `DiTTransformer2DModel` of the real diffusers package, as its users run it.

Imported only when asked for: diffusers is the extra `[peers]`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from legoc_runtime.contract.stack import BrickShape, StackShape
from legoc_runtime.errors import UsageError

NAME = "diffusers-dit"
MODULE = "diffusers.models.transformers.dit_transformer_2d"
INSTALL = 'install it with `pip install "legoc[peers]"`'
UNCONDITIONAL_CLASSES = 1000
"""Classes of the model where the stack has none: it cannot be built without."""

TIMESTEPS = 1000


def missing() -> str | None:
    """None where diffusers can be imported, else why not."""
    try:
        import_module(MODULE)
    except ImportError as error:
        return f"diffusers cannot be imported: {error}"
    return None


def check(shape: StackShape) -> BrickShape:
    """The brick of a one-brick stack that `DiTTransformer2DModel` can stand beside.

    Raises:
        UsageError: diffusers is missing, or has no such model.
    """
    if why := missing():
        raise UsageError(why, help=INSTALL)
    brick = shape.bricks[0]
    if len(shape.bricks) > 1 or not brick.covers_grid or shape.grid[0] != shape.grid[1]:
        raise UsageError(
            f"{NAME} is one image-brick on a square grid", help="leave it out, or name another peer: --peer SPEC"
        )
    if brick.mlp_ratio != 4:
        raise UsageError(f"the MLP of {NAME} is 4 times as wide as its tokens", help="write `mlp_ratio: 4`")
    return brick


class DiffusersDit:
    """A model of diffusers with the grid, token, depth, width and heads of a one-brick stack; weights random.

    It is the published DiT: no coordinates, noise and variance predicted, no preconditioning around it; each of its
    blocks embeds the timestep and the label for itself.

    Args:
        shape: the one-brick stack; `check` has passed it.
        device: where it lives.
        dtype: of its weights and its arithmetic.
        compiled: whether its blocks go through `torch.compile`, one after the other (regional compilation, the
            way of diffusers' own guide).
    """

    def __init__(self, shape: StackShape, device: torch.device, dtype: torch.dtype, *, compiled: bool) -> None:
        model: Any = import_module(MODULE).DiTTransformer2DModel(**keywords(shape))
        model = model.to(device=device, dtype=dtype).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.02)
        if compiled:
            for block in model.transformer_blocks:
                block.compile(fullgraph=True)
        self.module: Any = model
        self._dtype = dtype

    def call(self, x: Tensor, labels: Tensor | None) -> Callable[[], object]:
        """A call of the model at x [N, C, H, W] and labels [N]; its timesteps stand for noise levels."""
        timesteps = torch.arange(len(x), device=x.device) * 7 % TIMESTEPS
        given = torch.zeros_like(timesteps) if labels is None else labels
        images = x.to(self._dtype)
        return lambda: self.module(images, timestep=timesteps, class_labels=given, return_dict=False)


def keywords(shape: StackShape) -> dict[str, Any]:
    """The keywords of a `DiTTransformer2DModel` of a one-brick stack's size."""
    brick = shape.bricks[0]
    return {
        "num_attention_heads": brick.heads,
        "attention_head_dim": brick.width // brick.heads,
        "in_channels": shape.channels,
        "out_channels": 2 * shape.channels,
        "num_layers": brick.depth,
        "sample_size": shape.grid[0],
        "patch_size": brick.receptive_field,
        "num_embeds_ada_norm": UNCONDITIONAL_CLASSES if shape.classes is None else shape.classes,
    }
