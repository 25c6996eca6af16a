"""The training module of a build, and what of it the backward pass computes again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, fx, nn
from torch.utils import checkpoint

from legoc_runtime.backends.base import Backend, Module, choose_backend
from legoc_runtime.backends.regions import replace_bricks
from legoc_runtime.contract.manifest import TRAINING, Manifest
from legoc_runtime.contract.program import Program
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore

_checkpoint: Any = checkpoint  # typed in part


@dataclass(frozen=True)
class BrickEstimate:
    """What one brick made of a training batch.

    Attributes:
        id: the brick.
        loss_weight: weight of its loss.
        estimate: its estimate of the clean image [N, C, H, W].
        mask: [N, 1, H, W], 1 in the windows that it ran; None when it ran them all.
        variance: its learned variance [N, C, H, W], from -1 to 1; None when the stack learns none.
    """

    id: str
    loss_weight: float
    estimate: Tensor
    mask: Tensor | None
    variance: Tensor | None = None


class Around(Protocol):
    """Puts something around what a backend compiled."""

    def __call__(self, module: Module, *, whole: bool) -> Module:
        """The module, or where it is not `whole` the part of one, as it is to run."""
        ...


def _as_it_is(module: Module, *, whole: bool) -> Module:
    return module


class TrainingStack:
    """The training module: every brick's estimate from one forward.

    Args:
        manifest: the build.
        store: the weights.
        backend: `auto`, `eager`, `inductor`, or a Backend.
        checkpoint_bricks: keep of each brick's network what goes in alone, and compute the rest again in the backward
            pass: the same numbers from less memory and more time.
        around: what is put around each compiled module, such as the gathering of weights.
    """

    def __init__(
        self,
        manifest: Manifest,
        store: WeightStore,
        *,
        backend: str | Backend = "eager",
        checkpoint_bricks: bool = False,
        around: Around = _as_it_is,
    ) -> None:
        self.manifest = manifest
        self._around = around
        self.store = store
        self.backend: Backend = choose_backend(backend).backend if isinstance(backend, str) else backend
        self.program = manifest.training
        self.graph = link(self.program, store)
        self._checkpoints = checkpoint_bricks
        self._variants = {program.name: program for program in manifest.variants}
        self._compiled = {TRAINING: self._compile(self.graph)}

    def _compile(self, graph: fx.GraphModule) -> Module:
        if self._checkpoints:
            graph = replace_bricks(graph, self._checkpointed)
        return self._around(self.backend.compile(graph, training=True), whole=True)

    def _checkpointed(self, _: str, inner: fx.GraphModule) -> nn.Module:
        return Checkpointed(self._around(self.backend.compile(inner, training=True), whole=False))

    def _module(self, name: str) -> tuple[Program, Module]:
        """A training program and its module; that of a stage is linked and compiled when it is first asked for."""
        program = self.program if name == TRAINING else self._variants[name]
        if name not in self._compiled:
            self._compiled[name] = self._compile(link(program, self.store))
        return program, self._compiled[name]

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None,
        *,
        clean: Tensor,
        windows: Mapping[str, Tensor],
        program: str = TRAINING,
    ) -> tuple[BrickEstimate, ...]:
        """The estimate of every brick that trains, bottom to top.

        Args:
            x: noisy images [N, C, H, W].
            sigma: noise levels [N].
            labels: class labels [N], int64, null labels for dropped ones; None for an unconditional stack.
            clean: the clean images [N, C, H, W]; read only under `fill: x0`.
            windows: brick id -> the windows to run [N, windows_trained], int64, ascending, for each brick that
                trains a share of its windows.
            program: name of the training program, one of the manifest's `variants` or `training`.
        """
        chosen, run = self._module(program)
        given: dict[str, Tensor | None] = {"x": x, "sigma": sigma, "label": labels, "clean": clean}
        given.update({f"{id}.windows": index for id, index in windows.items()})
        # parts of the module run unrecorded: should one fail, recording is as it was (`layers.recording`)
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            results = run(*(given[name] for name, _ in chosen.inputs))
        values = (results,) if isinstance(results, Tensor) else cast("tuple[Tensor, ...]", results)
        named = dict(zip((name for name, _ in chosen.outputs), values, strict=True))
        shape = self.manifest.shape
        return tuple(
            BrickEstimate(
                id,
                shape.loss_weight(id),
                named[f"estimate.{id}"],
                named.get(f"mask.{id}"),
                named.get(f"variance.{id}"),
            )
            for id in shape.ids
            if f"estimate.{id}" in named
        )


class Checkpointed(nn.Module):
    """A compiled network that keeps its arguments alone for the backward pass. Owns no weights.

    Args:
        run: the network.
    """

    def __init__(self, run: Module) -> None:
        super().__init__()
        self._run: Module = run

    def forward(self, *arguments: Tensor) -> Tensor:
        """The network's result."""
        # nothing in a network is drawn at random: there is no state of generators to keep
        result = _checkpoint.checkpoint(self._run, *arguments, use_reentrant=False, preserve_rng_state=False)
        return cast("Tensor", result)
