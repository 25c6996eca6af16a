"""A stack with its weights, from a directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from legoc_runtime.backends.base import Backend, choose_backend
from legoc_runtime.backends.cuda_graphs import graphs_for
from legoc_runtime.checkpoint import find_weights, read_tensors
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.contract.program import Program
from legoc_runtime.stack.brick_stack import BrickStack
from legoc_runtime.store import WeightStore


def load(
    path: str | Path,
    *,
    weights: str | Path | None = None,
    ema: str | None = None,
    backend: str | Backend = "eager",
    trust_native: bool = False,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    extra_programs: Iterable[Program] = (),
    cuda_graphs: bool = False,
) -> BrickStack:
    """Load a stack with its weights. Runs no code from `path`, unless a native backend is asked for and trusted.

    Args:
        path: a run (its newest checkpoint is taken), a checkpoint directory inside one, or a build directory.
        weights: a run, checkpoint or .safetensors file to take the weights from; a build directory needs one.
        ema: which weights: None takes the run's first EMA if it has one, `none` the raw weights, a rate such as
            `0.9999` that EMA.
        backend: `auto`, `eager`, `inductor`, `aoti`, or a Backend.
        trust_native: run the native code in `path`, as `aoti` does. Nothing but its builder vouches for it.
        device: where the stack lives.
        dtype: type of the weights and of the arithmetic.
        extra_programs: programs of configurations that the build does not hold.
        cuda_graphs: replay calls of up to 32 rows as CUDA graphs; needs a CUDA device.

    Raises:
        UsageError: there is nothing to load there, or the backend cannot run here or is not trusted.
        RunError: what is there is damaged, or the weights are of another stack.
    """
    directory = build_directory(Path(path))
    manifest = read_manifest(directory)
    graphs = graphs_for(torch.device(device)) if cuda_graphs else None
    if isinstance(backend, str):
        backend = choose_backend(backend, build=directory, trust_native=trust_native).backend
    file = find_weights(Path(weights) if weights is not None else Path(path), ema=ema)
    store = WeightStore(manifest.shape, device=device, dtype=dtype)
    store.load(read_tensors(file))
    stack = BrickStack(manifest, store, backend=backend, extra_programs=extra_programs, cuda_graphs=graphs)
    stack.weights_file = file
    return stack


def build_directory(path: Path) -> Path:
    """The build that a path belongs to: the directory itself, or the run around a checkpoint."""
    if path.parent.name == "checkpoints":
        return path.parent.parent
    return path
