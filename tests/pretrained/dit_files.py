"""Files of weights by the names of DiT's public code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.foreign.origins import origins
from legoc_runtime.layers.tables import position_table


def by_dits_names(shape: StackShape, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a stack that is a DiT, as its public code would have them."""
    (brick,) = shape.bricks
    found = {"pos_embed": position_table(*brick.tokens_down_and_across, brick.width)[None]}
    for key, origin in origins(shape, "dit").items():
        weight = weights[key]
        if origin.how == "flat":
            weight = weight.unflatten(1, (brick.channels, brick.receptive_field, brick.receptive_field))
        found[origin.names[0]] = weight.clone()
    return found


def save_dit(path: Path, tensors: dict[str, Tensor]) -> Path:
    """The weights alone as safetensors, or as the training checkpoint that a `.pt` is, with an average."""
    if path.suffix == ".safetensors":
        tensorfile.save(path, tensors, {})
    else:
        torch.save({"model": {key: tensor * 0.5 for key, tensor in tensors.items()}, "ema": tensors}, path)
    return path
