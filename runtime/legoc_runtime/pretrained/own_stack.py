"""A run or checkpoint of legoc as a brick: its whole stack runs, with its own weights."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, fx, nn

from legoc_runtime.checkpoint import find_weights, read_tensors
from legoc_runtime.checkpoint.weights import read_header
from legoc_runtime.contract.manifest import Manifest, manifest_folder, read_manifest
from legoc_runtime.contract.stack import PretrainedShape
from legoc_runtime.errors import RunError
from legoc_runtime.layers.pretrained import PretrainedNetwork
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore


def files(shape: PretrainedShape) -> list[str]:
    """The weights that `legoc sample` would take of the folder: the newest checkpoint's, its first EMA if it has one.

    Raises:
        UsageError: there are no weights.
        RunError: they are damaged.
    """
    found = find_weights(folder := Path(shape.path))
    return [found.path.relative_to(folder).as_posix()]


def opened(shape: PretrainedShape, dtype: torch.dtype) -> PretrainedNetwork:
    """The stack with its weights, linked for weights of this type.

    Raises:
        RunError: it is damaged, or another one than the build says.
    """
    folder = Path(shape.path)
    manifest = read_manifest(manifest_folder(folder))
    if manifest.shape != shape.stack:
        raise RunError(
            f"the stack at {folder} is not the one that brick `{shape.id}` was built with", help="build again"
        )
    file = read_header(folder / shape.files[0][0]) if shape.files else find_weights(folder)
    from legoc_runtime.pretrained.open import open_store  # a stack may itself stand on a pretrained brick

    store = open_store(manifest.shape, dtype=dtype)
    store.load(read_tensors(file))
    return _Stack(manifest, store)


class StoredNetwork(PretrainedNetwork):
    """What computes with the weights of a store.

    Args:
        store: the weights, which it owns.
    """

    def __init__(self, store: WeightStore) -> None:
        super().__init__()
        self.store = store

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The weights by the stack's own keys."""
        return dict(self.store.weights)

    def changed(self) -> None:
        """What the stack derives from its weights is remade."""
        with self.store.updating():
            pass


class _Stack(StoredNetwork):
    """All bricks of a stack; its estimate."""

    def __init__(self, manifest: Manifest, store: WeightStore) -> None:
        super().__init__(store)
        program = manifest.program(manifest.shape.ids)
        if program is None:
            raise RunError(f"the build of `{manifest.name}` does not hold its whole stack", help="build it again")
        # over the store's modules, and no module of this one: else every weight would have a second name
        self._linked: tuple[fx.GraphModule, ...] = (link(program, store),)
        self._channels = manifest.shape.channels
        self._null = manifest.shape.classes

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None) -> Tensor:
        """The estimate [N, C, H, W]; a learned variance is left out."""
        state = self.store.state_dtype
        given = () if self._null is None else (cast("Tensor", labels),)
        estimate = cast("Tensor", self._linked[0](x.to(state), level.to(state), *given))
        return torch.narrow(estimate, 1, 0, self._channels)
