"""The block as an operation over tensors: `block.cpp`, compiled once and kept in inductor's cache."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from legoc_runtime.contract.block_rule import block_form
from legoc_runtime.errors import RunError
from legoc_runtime.layers.leaves import Attend, Mlp

CHUNKS = {64: 1.0, 32: 1.1, 16: 1.6}
"""Tokens that a thread takes at a time -> time of a token, of that in a chunk of 64, roughly: fewer read the weights.

More than 64 gain nothing, and their hidden features leave the cache of a core where a brick is wide
(benchmarks/2026-11-23_own-block_2-core-cpu.md).
"""

CHUNKS_A_WAVE = 8
"""Chunks that each thread has, on average, before it waits for the others."""

_kept = threading.local()

_torch: Any = torch  # custom operations are only partly typed


def run_block(attend: Attend, mlp: Mlp, tokens: Tensor, modulation: Tensor) -> Tensor:
    """One Transformer block, float32, without a derivative.

    An image's result is the same bits in every batch, for any number of threads.

    Args:
        attend: the attention half; see `contract.block_rule` for what widths and windows are taken.
        mlp: the other half.
        tokens: [N, W, L, D].
        modulation: [N, 6*D], or [1, 6*D] for all images.

    Returns:
        [N, W, L, D].

    Raises:
        RunError: it cannot be compiled here.
    """
    layers = (attend.qkv, attend.proj, mlp.fc1, mlp.fc2)
    weights = [weight for layer in layers for weight in (layer.weight, layer.bias)]
    return avx512_block(tokens, modulation, weights, attend.heads)


@_torch.library.custom_op("legoc::avx512_block", mutates_args=(), device_types="cpu")
def avx512_block(tokens: Tensor, modulation: Tensor, weights: list[Tensor], heads: int) -> Tensor:
    """A block, as `run_block`; `weights` are weight and bias of qkv, proj, fc1 and fc2."""
    images, windows, length, width = tokens.shape
    rows, threads = images * windows * length, torch.get_num_threads()
    given = [tensor.detach().contiguous() for tensor in (tokens, modulation, *weights)]
    _check(given, heads)
    rows_of_one = rows // max(1, modulation.shape[0])
    chunk = chunk_of(rows, threads)
    wave = wave_of(rows, length, chunk, threads)
    sizes = (rows, rows_of_one, length, width, weights[4].shape[0], heads, chunk, wave, threads)
    packed = (ctypes.c_int64 * len(sizes))(*sizes)
    library = _library()
    out, workspace = torch.empty_like(given[0]), _workspace(library.legoc_block_workspace(packed))
    pointers = [tensor.data_ptr() for tensor in (*given[:2], out, workspace, *given[2:])]
    if rows:
        library.legoc_block(packed, (ctypes.c_void_p * len(pointers))(*pointers))
    return out


@avx512_block.register_fake
def _(tokens: Tensor, modulation: Tensor, weights: list[Tensor], heads: int) -> Tensor:
    return tokens.new_empty(tokens.shape)


def _check(given: Sequence[Tensor], heads: int) -> None:
    """Refuse what the compiled code would read or write outside of: it sees bare addresses."""
    tokens, modulation, *weights = given
    images, _, length, width = tokens.shape
    hidden = len(weights[4])
    matrices = ((3 * width, width), (width, width), (hidden, width), (width, hidden))
    known = (
        all(tensor.dtype is torch.float32 and tensor.device.type == "cpu" for tensor in given)
        and block_form(width, length, device="cpu") == "avx512"
        and width % heads == 0
        and modulation.shape in ((images, 6 * width), (1, 6 * width))
        and [tuple(weight.shape) for weight in weights]
        == [shape for outs, ins in matrices for shape in ((outs, ins), (outs,))]
    )
    if not known:
        shapes = ", ".join(f"{tensor.dtype}{[*tensor.shape]}".removeprefix("torch.") for tensor in given)
        raise ValueError(f"the block for AVX-512 does not take {heads} heads with {shapes}")


def chunk_of(rows: int, threads: int) -> int:
    """Tokens that a thread takes at a time, so that the last thread is done with `rows` tokens soonest."""

    def time(chunk: int) -> float:
        chunks = -(-rows // chunk)
        return -(-chunks // threads) * chunk * CHUNKS[chunk]

    return min(CHUNKS, key=time)


def wave_of(rows: int, window: int, chunk: int, threads: int) -> int:
    """Tokens whose q, k and v are held at a time: whole windows and chunks, some chunks a thread, no more than all."""
    unit = math.lcm(window, chunk)
    wave = -(-CHUNKS_A_WAVE * threads * chunk // unit) * unit
    return min(wave, -(-rows // chunk) * chunk)


def _workspace(floats: int) -> Tensor:
    """Memory of this thread's calls. It is kept: the system clears the pages of fresh memory at every call."""
    kept: Tensor | None = getattr(_kept, "workspace", None)
    if kept is None or len(kept) < floats:
        # whatever the defaults of the process are: code writes through the bare address
        kept = _kept.workspace = torch.empty(floats, dtype=torch.float32, device="cpu")
    return kept


@cache
def _library() -> Any:
    """The compiled code, from inductor's cache where it was compiled before."""
    codecache, errors = import_module("torch._inductor.codecache"), import_module("torch._inductor.exc")
    try:
        library = codecache.CppCodeCache.load(_source(), device_type="cpu")
    except (errors.CppCompileError, errors.InvalidCxxCompiler, OSError) as error:
        raise RunError(
            f"the block for AVX-512 could not be compiled: {str(error).strip().splitlines()[-1]}",
            help="ATEN_CPU_CAPABILITY=avx2 in the environment leaves it out; --backend eager needs no compiler",
        ) from error
    library.legoc_block_workspace.restype = ctypes.c_int64
    library.legoc_block.restype = None
    return library


def _source() -> str:
    """The code, with the processor's extensions above it.

    It is compiled for the processor at hand, and the cache knows it by its text: machines that share a cache would
    else run each other's instructions.
    """
    known = cast("Mapping[str, object]", _torch.cpu.get_capabilities())
    extensions = sorted(name for name, has in known.items() if has is True)
    return f"// for {' '.join(extensions)}\n{Path(__file__).with_name('block.cpp').read_text()}"
