"""Stacks of small bricks with every configuration in them, for tests of what stands around a stack's modules."""

from __future__ import annotations

from itertools import combinations

import torch

from legoc.lower.pipeline import choose, sampling_program
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.settings import SampleSettings, TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore
from tests.stacks import random_store, stack

SMALL = stack(windows=(4, 8, 16), grid=(16, 16), receptive_fields=(2, 4, 2), widths=(32, 16, 32))
WINDOWS, LOWER, ALL = ("windows",), ("windows", "parts"), SMALL.ids


def brick_stack(
    shape: StackShape = SMALL,
    *,
    dtype: torch.dtype = torch.float32,
    backend: str = "eager",
    store: WeightStore | None = None,
) -> BrickStack:
    """A stack with every configuration of its bricks over weights that are all alive."""
    configurations = [c for n in range(1, len(shape.ids) + 1) for c in combinations(shape.ids, n)]
    programs = tuple(sampling_program(shape, c, choose()) for c in configurations)
    manifest = Manifest(
        "small", "", "0", "0", shape, 0.1, (), None, "none", TrainSettings(), SampleSettings(), (), programs
    )
    return BrickStack(manifest, store or random_store(shape, dtype=dtype), backend=backend)
