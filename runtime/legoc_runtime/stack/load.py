"""A stack with its weights, from a directory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import torch

from legoc_runtime.backends.base import Backend, choose_backend
from legoc_runtime.backends.cuda_graphs import CudaGraphs, graphs_for
from legoc_runtime.checkpoint import WeightsFile, find_weights, read_tensors, unread_bytes
from legoc_runtime.contract.manifest import Manifest, manifest_folder, read_manifest
from legoc_runtime.contract.policy import tabulate
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.schedule import sampling_levels
from legoc_runtime.errors import UsageError
from legoc_runtime.link.opt_in.fp8 import Fp8, fp8_for
from legoc_runtime.pretrained import open_store
from legoc_runtime.stack.brick_stack import BrickStack


def load(
    path: str | Path,
    *,
    weights: str | Path | None = None,
    ema: str | None = None,
    backend: str | Backend = "eager",
    trust_native: bool = False,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    policy: str | Sequence[str] | None = None,
    bricks: Collection[str] | None = None,
    extra_programs: Iterable[Program] = (),
    cuda_graphs: bool = False,
    fp8: str | None = None,
) -> BrickStack:
    """Load a stack with its weights. Runs no code from `path`, unless a native backend is asked for and trusted.

    Args:
        path: a run (its newest checkpoint is taken), a checkpoint directory inside one, or a build directory.
        weights: a run, checkpoint or .safetensors file to take the weights from; a build directory needs one.
        ema: which weights: None takes the run's first EMA if it has one, `none` the raw weights, a rate such as
            `0.9999` that EMA.
        backend: `auto`, `eager`, `inductor`, `aoti`, `tensorrt`, or a Backend.
        trust_native: run the native code in `path` (`aoti`, `tensorrt`). Nothing but its builder vouches for it.
        device: where the stack lives.
        dtype: type of the weights and of the blocks' arithmetic.
        policy: a skip policy or several. Only the bricks that they run somewhere on the spec's own schedule are loaded.
        bricks: only these bricks are loaded, instead of what a policy says.
        extra_programs: programs of configurations that the build does not hold.
        cuda_graphs: replay calls of up to 32 rows as CUDA graphs; needs a CUDA device.
        fp8: bricks whose blocks multiply in 8-bit floats: ids joined by commas, or `large`. Opt-in, since it changes
            estimates by more than rounding; needs a GPU of compute capability 9.0 and bfloat16.

    Raises:
        UsageError: there is nothing to load there, no such policy or brick, or the backend cannot run here or is not
            trusted.
        RunError: what is there is damaged, or the weights are of another stack.
    """
    directory = manifest_folder(Path(path))
    manifest = read_manifest(directory)
    graphs = graphs_for(torch.device(device)) if cuda_graphs else None
    if isinstance(backend, str):
        backend = choose_backend(backend, build=directory, trust_native=trust_native).backend
    file = find_weights(Path(weights) if weights is not None else Path(path), ema=ema)
    if policy is not None and bricks is not None:
        raise UsageError("`policy` and `bricks` both say what to load", help="give one of them")
    if policy is not None:
        bricks = _reached(manifest, (policy,) if isinstance(policy, str) else policy)
    return load_bricks(
        manifest,
        file,
        bricks,
        backend=backend,
        device=device,
        dtype=dtype,
        extra_programs=extra_programs,
        cuda_graphs=graphs,
        fp8=None if fp8 is None else fp8_for(fp8, manifest.shape, torch.device(device), dtype),
    )


def load_bricks(
    manifest: Manifest,
    file: WeightsFile,
    bricks: Collection[str] | None = None,
    *,
    backend: str | Backend = "eager",
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    extra_programs: Iterable[Program] = (),
    cuda_graphs: CudaGraphs | None = None,
    fp8: Fp8 | None = None,
) -> BrickStack:
    """A stack over the weights of a file, or of some of its bricks; the rest of the file is not read.

    Raises:
        UsageError: the stack has no such brick.
        RunError: what was read is damaged, or of another stack.
    """
    store = open_store(manifest.shape, device=device, dtype=dtype, bricks=bricks)
    partly = store.bricks != manifest.shape.ids
    store.load(read_tensors(file, store.weights if partly else None))
    stack = BrickStack(
        manifest, store, backend=backend, extra_programs=extra_programs, cuda_graphs=cuda_graphs, fp8=fp8
    )
    stack.weights_file = file
    stack.unread_bytes = unread_bytes(file, store.weights) if partly else 0
    return stack


def _reached(manifest: Manifest, policies: Sequence[str]) -> set[str]:
    """The bricks that run at some level of the spec's schedule under one of these policies."""
    sample, shape = manifest.sample, manifest.shape
    levels = sampling_levels(sample, shape.diffusion)
    tables = (tabulate(manifest.policy(name), shape.ids, levels) for name in policies)
    return {brick for table in tables for configuration in table.distinct() for brick in configuration}
