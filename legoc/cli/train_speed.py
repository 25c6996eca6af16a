"""How near a training comes to what the machine can do: its own matrix products, timed once before it begins."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from legoc_runtime.training.progress import summary

if TYPE_CHECKING:
    import torch

    from legoc_runtime.contract.manifest import Manifest
    from legoc_runtime.contract.settings import TrainSettings
    from legoc_runtime.training.metrics import Metrics

BUDGET_SECONDS = 0.4
ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Speed:
    """Words for a line of metrics: loss, images a second, and the share of the machine's product rate (MFU).

    Attributes:
        flops_an_image: FLOPs of a training image, two a MAC; what the backward pass computes again does not count.
        rate: FLOPs a second of one process's matrix products.
        processes: how many train together.
        side: side of the product that was timed.
        type: its type, in words.
    """

    flops_an_image: float
    rate: float
    processes: int
    side: int
    type: str

    def __call__(self, metrics: Metrics) -> str:
        """The words."""
        share = metrics.images_per_second * self.flops_an_image / (self.rate * self.processes)
        return f"{summary(metrics)}, MFU {share:.0%}"

    def said(self) -> str:
        """What MFU is a share of."""
        each = "" if self.processes == 1 else f", {self.processes} times"
        return (
            f"MFU is the share of this machine's own product rate, {self.rate / 1e9:,.0f} GFLOP/s{each}, timed now on "
            f"{self.side}x{self.side} products in {self.type}"
        )


def measure_speed(manifest: Manifest, settings: TrainSettings, device: torch.device) -> Speed:
    """Time the machine, for less than a second; draws no random number."""
    from legoc.cost.counts import training_macs
    from legoc_runtime.backends.device import DTYPES

    side = 1024 if device.type == "cpu" else 8192
    type = settings.precision
    rate = 2 * side**3 / _seconds(side, device, DTYPES[type])
    flops = 2.0 * training_macs(manifest.shape, settings)
    return Speed(flops, rate, int(os.environ.get("WORLD_SIZE", "1")), side, type)


def _seconds(side: int, device: torch.device, dtype: torch.dtype) -> float:
    """The shortest of several products, after one that is not counted, within the budget."""
    import torch

    a = torch.full((side, side), 0.5, device=device, dtype=dtype)
    b, out = torch.full_like(a, 0.25), torch.empty_like(a)
    best, end = float("inf"), time.perf_counter() + BUDGET_SECONDS
    for i in range(ROUNDS + 1):
        clock = time.perf_counter()
        torch.mm(a, b, out=out)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took = time.perf_counter() - clock
        best = took if i < 2 else min(best, took)
        if time.perf_counter() > end:
            break
    if device.type == "cuda":
        del a, b, out
        torch.cuda.empty_cache()  # training finds the memory as it was
    return best
