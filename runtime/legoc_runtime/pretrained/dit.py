"""DiT's weights by the names of its public code, as a brick: safetensors, or a `.pt`, whose pickle is never run.

What it computes is DiT's own (`tests/reference/README.md`); a learned variance is left out.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from legoc_runtime.contract.settings import WEIGHT_FILES
from legoc_runtime.contract.stack import PretrainedShape
from legoc_runtime.errors import RunError
from legoc_runtime.foreign.names import TITLES, told_by_names
from legoc_runtime.foreign.origins import check_fits, read_weights
from legoc_runtime.foreign.stored import stored_in
from legoc_runtime.layers.patching import merge, partition
from legoc_runtime.pretrained.own_stack import StoredNetwork
from legoc_runtime.store import WeightStore


def files(shape: PretrainedShape) -> list[str]:
    """The one file of weights: the spec's own, or that in the spec's folder.

    Raises:
        RunError: there is none, or more than one.
    """
    path = Path(shape.path)
    if path.is_file():
        return [path.name]
    found = [file.name for ending in WEIGHT_FILES for file in path.glob(f"*{ending}") if file.is_file()]
    if len(found) != 1:
        raise RunError(
            f"{path} has {len(found)} files of weights ({', '.join(WEIGHT_FILES)}), brick `{shape.id}` needs one",
            help="name the file of the weights itself",
        )
    return found


def opened(shape: PretrainedShape, dtype: torch.dtype) -> StoredNetwork:
    """The model with its weights; of a checkpoint the average, where it has one.

    Raises:
        UsageError: it is no file of weights.
        RunError: it is damaged, or its tensors are not those of the stack that its shapes tell.
    """
    assert shape.stack is not None, "a DiT is a stack of one brick"
    path = Path(shape.path)
    ((name, _),) = shape.files
    file = path / name if path.is_dir() else path
    told = told_by_names(stored_in(file))
    if told is None or told[0] != "dit":
        raise RunError(f"{file} does not have the names of {TITLES['dit']}", help="check the brick's `kind`")
    try:
        check_fits(shape.stack, "dit", told[1])
        weights = read_weights(shape.stack, "dit", told[1])
    except RunError as error:
        help = "such weights are no DiT: open them by an entry point of your own (`kind: module`)"
        raise RunError(f"{file}: {error.message}", help=help) from error
    store = WeightStore(shape.stack, dtype=dtype)
    store.load(weights)
    return _Dit(store)


class _Dit(StoredNetwork):
    """The one brick of a DiT, without the chain around it: x_t and a timestep to the noise that it predicts."""

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None) -> Tensor:
        """The predicted noise [N, C, H, W] of x_t at timesteps [N]."""
        store, (brick,) = self.store, self.store.shape.bricks
        condition = store.conditioning(level, labels)
        cut = (brick.window, brick.offset, brick.receptive_field)
        tokens = store.embed(brick.id)(partition([x.to(store.dtype)], None, *cut))
        *blocks, last = store.adaln_layers(brick.id)
        for number, adaln in enumerate(blocks):
            block, modulation = store.block(brick.id, number), adaln(condition)
            tokens = block.mlp(block.attn(tokens, modulation), modulation)
        pixels = store.decode(brick.id)(tokens, last(condition))
        return merge(pixels, brick.grid, *cut)[:, : brick.channels]
