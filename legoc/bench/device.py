"""What a device is asked while something runs on it: how long it took, and how much memory it took."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from legoc.bench.rounds import Clock

CLEAR_REFS = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")
RESET_PEAK = "5"
"""What Linux takes in `clear_refs` to start the peak of the resident memory afresh."""


class WallClock:
    """Time on a CPU, whose calls return when they are done."""

    def seconds(self, run: Callable[[], object], calls: int) -> float:
        """Seconds of one call, the mean of `calls` in a row."""
        began = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - began) / calls


class CudaClock:
    """Time between two events on the device's own stream, after what was queued before."""

    def seconds(self, run: Callable[[], object], calls: int) -> float:
        """Seconds of one call, the mean of `calls` in a row."""
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        for _ in range(calls):
            run()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1e3 / calls


def clock_of(device: torch.device) -> Clock:
    """The clock of a device."""
    return CudaClock() if device.type == "cuda" else WallClock()


class Memory(Protocol):
    """How much memory a call takes beyond what was held before.

    Attributes:
        how: what is measured, in words.
    """

    how: str

    def growth_bytes(self, run: Callable[[], object]) -> int | None:
        """Peak of one call over what was held before it; None where it cannot be measured."""
        ...


class CudaMemory:
    """PyTorch's own count of the device's memory."""

    how = "peak of the allocator (max_memory_allocated) over what was allocated before the call"

    def growth_bytes(self, run: Callable[[], object]) -> int | None:
        """Peak of one call over what was allocated before it."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before


class ResidentMemory:
    """Growth of the process's resident memory, as Linux counts it."""

    how = "growth of the process's resident memory during one call (Linux), free memory handed back before it"

    def growth_bytes(self, run: Callable[[], object]) -> int | None:
        """Peak of the resident memory during one call over that before it."""
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):  # else what earlier calls freed would hide what this one takes
            libc.malloc_trim(0)
        CLEAR_REFS.write_text(RESET_PEAK)
        before = _status_bytes("VmHWM")
        run()
        return _status_bytes("VmHWM") - before


class Unmeasured:
    """Memory of a system that does not say."""

    def __init__(self, why: str) -> None:
        self.how = f"not measured: {why}"

    def growth_bytes(self, run: Callable[[], object]) -> int | None:
        """None; the call is made all the same."""
        run()
        return None


def memory_of(device: torch.device) -> Memory:
    """How memory is measured on a device here."""
    if device.type == "cuda":
        return CudaMemory()
    if sys.platform != "linux":
        return Unmeasured("only Linux and CUDA say how much memory one call took")
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
        _status_bytes("VmHWM")
    except (OSError, ValueError):
        return Unmeasured("this Linux does not let a process start its peak afresh")
    return ResidentMemory()


def _status_bytes(key: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"{STATUS} has no {key}")
