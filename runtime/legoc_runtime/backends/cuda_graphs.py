"""CUDA graphs: a small batch spends its time in launching kernels; a graph launches them all at once.

One capture for each configuration and bucket of rows. All captures share one memory pool, which is safe because one
runs at a time and its result is copied out before the next. Sizes between buckets are filled up: rows of a batch do not
know of each other, so what stands in the rows behind is of no consequence. A batch above the largest bucket keeps the
device busy by itself and is called as it is.

A capture reads weights by address. An update in place would be seen without a new capture, yet what is derived from
weights is remade elsewhere; so every capture is dropped when the store's generation moves. A capture takes milliseconds
once the kernels are compiled, and nobody updates weights between the calls of a sampler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from legoc_runtime.backends.base import Module
from legoc_runtime.errors import UsageError

BUCKETS = (1, 2, 4, 8, 16, 32)
"""Rows that are captured, ascending. Few rows wait for launches, which a graph saves; many do not."""

WARM_UPS = 3
"""Calls before a capture, in which libraries allocate and kernels are compiled and tuned."""


@dataclass(frozen=True)
class Captured:
    """What was captured.

    Attributes:
        output: where each replay leaves its result.
        replay: runs what was captured on what the inputs then hold.
    """

    output: Tensor
    replay: Callable[[], None]


class Capture(Protocol):
    """Captures work. All captures of one object share memory."""

    def __call__(self, run: Callable[[], Tensor]) -> Captured:
        """Capture what `run` does on the device."""
        ...


class CudaCapture:
    """Captures through PyTorch, all into one pool."""

    def __init__(self) -> None:
        self._pool: Any = torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], Tensor]) -> Captured:
        """Capture what `run` launches, after some calls on a stream of their own, as PyTorch asks for."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            output = run()
        return Captured(output, graph.replay)


class CudaGraphs:
    """Turns compiled modules into captured ones.

    Args:
        capture: how to capture; PyTorch's way by default.
        buckets: numbers of rows to capture, ascending.

    Raises:
        UsageError: there is no CUDA device.
    """

    def __init__(self, capture: Capture | None = None, buckets: tuple[int, ...] = BUCKETS) -> None:
        if capture is None and not torch.cuda.is_available():
            raise UsageError("CUDA graphs need a CUDA device", help="leave --cuda-graphs out")
        self._capture: Capture = capture or CudaCapture()
        self._buckets = buckets

    def wrap(self, module: Module, generation: Callable[[], int]) -> Module:
        """A callable that replays captures of `module`.

        Args:
            module: takes tensors [N, ...] and gives one tensor [N, ...], whose rows do not depend on one another.
            generation: the store's, now.
        """
        return _Graphed(module, generation, self._capture, self._buckets)


def graphs_for(device: torch.device) -> CudaGraphs:
    """CUDA graphs for a stack on a device.

    Raises:
        UsageError: it is no CUDA device.
    """
    if device.type != "cuda":
        raise UsageError("CUDA graphs need a CUDA device", help="--device cuda, or leave --cuda-graphs out")
    return CudaGraphs()


class _Graphed:
    """One module, captured once a bucket.

    A sampler's first batch is its largest, so that later captures fit into memory that the first one left in the pool.
    """

    def __init__(
        self, module: Module, generation: Callable[[], int], capture: Capture, buckets: tuple[int, ...]
    ) -> None:
        self._module = module
        self._generation = generation
        self._capture = capture
        self._buckets = buckets
        self._captured_at = generation()
        self._inputs: dict[int, tuple[Tensor, ...]] = {}
        self._captures: dict[int, Captured] = {}

    def __call__(self, *arguments: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise UsageError("CUDA graphs have no gradients", help="call the stack under torch.no_grad()")
        rows = arguments[0].shape[0]
        bucket = next((bucket for bucket in self._buckets if bucket >= rows), None)
        if bucket is None:
            return cast("Tensor", self._module(*arguments))
        if self._generation() != self._captured_at:
            self._captures.clear()
            self._captured_at = self._generation()
        inputs = self._fill(bucket, rows, arguments)
        if bucket not in self._captures:
            self._captures[bucket] = self._capture(lambda: cast("Tensor", self._module(*inputs)))
        captured = self._captures[bucket]
        captured.replay()
        return captured.output[:rows].clone()

    def _fill(self, bucket: int, rows: int, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The bucket's inputs, whose addresses stay, with the arguments in their first rows."""
        held = self._inputs.get(bucket)
        wanted = [((bucket, *a.shape[1:]), a.dtype, a.device) for a in arguments]
        if held is None or [(tuple(h.shape), h.dtype, h.device) for h in held] != wanted:
            held = tuple(torch.zeros(shape, dtype=dtype, device=device) for shape, dtype, device in wanted)
            self._inputs[bucket] = held
            self._captures.pop(bucket, None)
        for buffer, argument in zip(held, arguments, strict=True):
            buffer[:rows].copy_(argument)
        return held
