"""Stacks that are formulas, so that what sampling does around a stack can be seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from legoc_runtime.contract.policy import Configuration, Policy
from legoc_runtime.contract.predicate import Compare, Name, Number
from legoc_runtime.contract.request import parse_classes
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import BrickShape, EdmConstants, StackShape
from legoc_runtime.sampling.plan import Plan, make_plan

IDS = ("windows", "parts", "image")


def brick(id: str, window: int, grid: tuple[int, int] = (8, 8), channels: int = 3) -> BrickShape:
    return BrickShape(
        id=id,
        window=(window, window),
        grid=grid,
        receptive_field=2,
        depth=1,
        width=16,
        heads=2,
        mlp_ratio=4,
        channels=channels,
        coordinates=2,
        takes_estimate=id != IDS[0],
        condition_width=16,
    )


def shape(classes: int | None = 5, channels: int = 3) -> StackShape:
    sizes = zip(IDS, (2, 4, 8), strict=True)
    bricks = tuple(brick(id, window, channels=channels) for id, window in sizes)
    return StackShape(channels, (8, 8), classes, "table", "row_column", 16, "x0", EdmConstants(), bricks)


class FormulaStack:
    """The exact denoiser of N(mu, s^2), mu depending on the label; remembers how it was called."""

    def __init__(self, shape: StackShape, s: float = 0.5) -> None:
        self.shape = shape
        self.s = s
        self.calls: list[tuple[int, Configuration | None]] = []

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
    ) -> Tensor:
        assert x.dtype == sigma.dtype == torch.float32
        self.calls.append((len(x), configuration))
        mu = torch.zeros(len(x)) if labels is None else labels.float() / 10
        sigma, mu = sigma.view(-1, 1, 1, 1), mu.view(-1, 1, 1, 1)
        return (self.s**2 * x + sigma**2 * mu) / (self.s**2 + sigma**2)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        return configuration


LATE = Policy("late", (("image", Compare(Name("sigma"), (("<", Number(0.5)),))),))


def plan(
    policy: Policy = LATE,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    classes: str = "random",
    stack: StackShape | None = None,
    **settings: Any,
) -> Plan:
    chosen = replace(SampleSettings(steps=6), **settings)
    return make_plan(stack or shape(), policy, chosen, seeds, parse_classes(classes))
