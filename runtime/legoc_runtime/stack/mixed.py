"""Batches whose images stand at different noise levels, as when requests that began at different times are served."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from legoc_runtime.contract.policy import Configuration, TruthTable
from legoc_runtime.errors import UsageError


def configurations_at(table: TruthTable, sigma: Tensor, dtype: torch.dtype) -> tuple[Configuration, ...]:
    """What runs for each image under a policy over a schedule.

    Args:
        table: the policy over the schedule.
        sigma: noise levels [N], each one of the schedule's.
        dtype: type in which the network takes noise levels; a level is found when it is the same number in it.

    Raises:
        UsageError: a noise level is none of the schedule's.
    """
    levels = torch.tensor([level.sigma for level in table.levels], dtype=torch.float64).to(dtype)
    at = {float(level): what for level, what in zip(levels, table.configurations, strict=True)}
    found: list[Configuration] = []
    for i, value in enumerate(sigma.to("cpu", dtype)):
        if float(value) not in at:
            raise UsageError(
                f"image {i} is at sigma {float(value):.6g}, which is no level of the schedule",
                help="take levels from `table.levels`, or name the configuration of every image",
            )
        found.append(at[float(value)])
    return tuple(found)


def grouped(configurations: Sequence[Configuration]) -> dict[Configuration, list[int]]:
    """Configuration -> the images that run it, ascending."""
    groups: dict[Configuration, list[int]] = {}
    for i, configuration in enumerate(configurations):
        groups.setdefault(configuration, []).append(i)
    return groups
