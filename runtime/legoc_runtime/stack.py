"""A loaded build: one module a configuration and one for training, all over one weight store.

takes: Manifest, WeightStore
gives: BrickStack, TrainingStack
may import: torch, and `link`, `backends`, `store`, `checkpoint`, `contract` of `legoc_runtime`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, fx

from legoc_runtime.backends.base import Backend, Module, choose_backend
from legoc_runtime.checkpoint import WeightsFile, find_weights, read_tensors
from legoc_runtime.contract.manifest import TRAINING, Manifest, read_manifest
from legoc_runtime.contract.policy import Configuration, configuration_name
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.link.link import bricks_in, link
from legoc_runtime.store import WeightStore


@dataclass(frozen=True)
class _Linked:
    graph: fx.GraphModule
    run: Module


class BrickStack:
    """A stack that samples: each configuration is a module of its own over the same weights.

    Args:
        manifest: the build.
        store: the weights.
        backend: `auto`, `eager`, `inductor`, or a Backend.
        extra_programs: programs of configurations that the build does not hold.

    Attributes:
        manifest: the build.
        store: the weights.
        backend: the backend in use.
        weights_file: where the weights came from, when `load` read them.
    """

    def __init__(
        self,
        manifest: Manifest,
        store: WeightStore,
        *,
        backend: str | Backend = "eager",
        extra_programs: Iterable[Program] = (),
    ) -> None:
        self.manifest = manifest
        self.store = store
        self.backend: Backend = choose_backend(backend).backend if isinstance(backend, str) else backend
        self.weights_file: WeightsFile | None = None
        self._programs = {program.bricks: program for program in manifest.programs if program.name != TRAINING}
        self._linked: dict[Configuration, _Linked] = {}
        for program in extra_programs:
            self.add_program(program)

    @property
    def shape(self) -> StackShape:
        """The architecture."""
        return self.manifest.shape

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """The configurations that this stack can run."""
        return tuple(self._programs)

    def add_program(self, program: Program) -> None:
        """Make a further configuration runnable."""
        self._programs[program.bricks] = program
        self._linked.pop(program.bricks, None)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """The bricks that the module of a configuration runs, read off its linked graph.

        Raises:
            UsageError: the stack has no such configuration.
        """
        return bricks_in(self._module(configuration).graph)

    def graph_module(self, configuration: Configuration) -> fx.GraphModule:
        """The linked, uncompiled module of a configuration.

        Raises:
            UsageError: the stack has no such configuration.
        """
        return self._module(configuration).graph

    def null_labels(self, count: int) -> Tensor | None:
        """`count` null labels [count], or None for an unconditional stack."""
        if self.shape.classes is None:
            return None
        return torch.full((count,), self.shape.classes, dtype=torch.int64, device=self.store.device)

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
    ) -> Tensor:
        """The estimate of the clean image.

        Args:
            x: noisy images [N, C, H, W]; computed in the store's dtype.
            sigma: noise levels [N] or one number [].
            labels: class labels [N], int64; None means null labels.
            configuration: the bricks to run, bottom to top; None runs all.

        Returns:
            [N, C, H, W], in the store's dtype.

        Raises:
            UsageError: the stack has no such configuration, has no classes but got labels, a label is none of its
                classes, or an argument has another shape.
        """
        module = self._module(self.shape.ids if configuration is None else configuration)
        self._check(x, sigma, labels)
        levels = sigma.to(device=x.device, dtype=self.store.dtype).expand(x.shape[0])
        arguments = [x.to(self.store.dtype), levels]
        if self.shape.classes is not None:
            given = labels if labels is not None else self.null_labels(x.shape[0])
            arguments.append(cast("Tensor", given))
        return module.run(*arguments)

    def _check(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> None:
        expected = (self.shape.channels, *self.shape.grid)
        if tuple(x.shape[1:]) != expected:
            raise UsageError(f"`x` is {tuple(x.shape)}; this stack takes [N, {', '.join(map(str, expected))}]")
        if sigma.ndim > 0 and tuple(sigma.shape) != (x.shape[0],):
            raise UsageError(f"`sigma` is {tuple(sigma.shape)}; {x.shape[0]} images take one number or [{x.shape[0]}]")
        if labels is None:
            return
        classes = self.shape.classes
        if classes is None:
            raise UsageError("this stack is unconditional and takes no labels")
        if tuple(labels.shape) != (x.shape[0],):
            raise UsageError(f"`labels` is {tuple(labels.shape)}; {x.shape[0]} images take [{x.shape[0]}]")
        # on a GPU the look would wait for the device at every evaluation
        if labels.device.type == "cpu" and not 0 <= int(labels.min()) <= int(labels.max()) <= classes:
            raise UsageError(f"a label is outside 0 to {classes}", help=f"{classes} is the null label")

    def _module(self, configuration: Configuration) -> _Linked:
        if isinstance(configuration, str):
            raise UsageError("a configuration is a tuple of brick ids", help=f'for example ("{configuration}",)')
        if not configuration:
            raise UsageError("the configuration has no brick", help="let at least one brick run")
        if configuration not in self._linked:
            program = self._programs.get(configuration)
            if program is None:
                known = ", ".join(f"`{configuration_name(c)}`" for c in self._programs)
                raise UsageError(
                    f"the build has no configuration `{configuration_name(configuration)}`; it has {known}",
                    help="build it with `legoc build SPEC --policy ...`, or sample with the compiler installed",
                )
            graph = link(program, self.store)
            self._linked[configuration] = _Linked(graph, self.backend.compile(graph))
        return self._linked[configuration]


@dataclass(frozen=True)
class BrickEstimate:
    """What one brick made of a training batch.

    Attributes:
        id: the brick.
        loss_weight: weight of its loss.
        estimate: its estimate of the clean image [N, C, H, W].
        mask: [N, 1, H, W], 1 in the windows that it ran; None when it ran them all.
    """

    id: str
    loss_weight: float
    estimate: Tensor
    mask: Tensor | None


class TrainingStack:
    """The training module: every brick's estimate from one forward.

    Args:
        manifest: the build.
        store: the weights.
        backend: `auto`, `eager`, `inductor`, or a Backend.
    """

    def __init__(self, manifest: Manifest, store: WeightStore, *, backend: str | Backend = "eager") -> None:
        self.manifest = manifest
        self.store = store
        self.backend: Backend = choose_backend(backend).backend if isinstance(backend, str) else backend
        self.program = manifest.training
        self.graph = link(self.program, store)
        self._run = self.backend.compile(self.graph, training=True)

    def __call__(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None, *, clean: Tensor, windows: Mapping[str, Tensor]
    ) -> tuple[BrickEstimate, ...]:
        """Every brick's estimate, bottom to top.

        Args:
            x: noisy images [N, C, H, W].
            sigma: noise levels [N].
            labels: class labels [N], int64, null labels for dropped ones; None for an unconditional stack.
            clean: the clean images [N, C, H, W]; read only under `fill: x0`.
            windows: brick id -> the windows to run [N, windows_trained], int64, ascending, for each brick that
                trains a share of its windows.
        """
        given: dict[str, Tensor | None] = {"x": x, "sigma": sigma, "label": labels, "clean": clean}
        given.update({f"{id}.windows": index for id, index in windows.items()})
        results = self._run(*(given[name] for name, _ in self.program.inputs))
        values = (results,) if isinstance(results, Tensor) else cast("tuple[Tensor, ...]", results)
        named = dict(zip((name for name, _ in self.program.outputs), values, strict=True))
        return tuple(
            BrickEstimate(brick.id, brick.loss_weight, named[f"estimate.{brick.id}"], named.get(f"mask.{brick.id}"))
            for brick in self.manifest.shape.bricks
        )


def load(
    path: str | Path,
    *,
    weights: str | Path | None = None,
    ema: str | None = None,
    backend: str | Backend = "eager",
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    extra_programs: Iterable[Program] = (),
) -> BrickStack:
    """Load a stack with its weights. Runs no code from `path`.

    Args:
        path: a run (its newest checkpoint is taken), a checkpoint directory inside one, or a build directory.
        weights: a run, checkpoint or .safetensors file to take the weights from; a build directory needs one.
        ema: which weights: None takes the run's first EMA if it has one, `none` the raw weights, a rate such as
            `0.9999` that EMA.
        backend: `auto`, `eager`, `inductor`, or a Backend.
        device: where the stack lives.
        dtype: type of the weights and of the arithmetic.
        extra_programs: programs of configurations that the build does not hold.

    Raises:
        UsageError: there is nothing to load there.
        RunError: what is there is damaged, or the weights are of another stack.
    """
    directory = build_directory(Path(path))
    manifest = read_manifest(directory)
    file = find_weights(Path(weights) if weights is not None else Path(path), ema=ema)
    store = WeightStore(manifest.shape, device=device, dtype=dtype)
    store.load(read_tensors(file))
    stack = BrickStack(manifest, store, backend=backend, extra_programs=extra_programs)
    stack.weights_file = file
    return stack


def build_directory(path: Path) -> Path:
    """The build that a path belongs to: the directory itself, or the run around a checkpoint."""
    if path.parent.name == "checkpoints":
        return path.parent.parent
    return path
