"""Small stacks of every form, and their programs under any choice of passes held against the plain formulas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any, cast

import torch
from torch import Tensor

from legoc.lower.pipeline import Pipeline, choose, sampling_program, training_program
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import DdpmConstants, StackShape, Variance
from legoc_runtime.link.link import link
from tests.plain_stack import plain_estimate
from tests.stacks import batch, random_store, stack

BOUND = 1e-12
"""Largest difference of values of order 1 in float64: rounding, nothing else."""


def _small(
    *windows: int | tuple[int, int],
    grid: tuple[int, int] = (8, 8),
    fields: tuple[int, ...] = (2, 4, 2, 2, 2),
    **more: Any,
) -> StackShape:
    count = len(windows)
    fields, depths = fields[:count], ((1, 2) * count)[:count]
    ids = tuple("abcde"[:count])
    more.setdefault("widths", (16,) * count)
    more.setdefault("train_patches", (0.5, 0.75, 1.0, 0.5, 1.0)[:count])
    return stack(windows, grid=grid, receptive_fields=fields, depths=depths, heads=2, ids=ids, **more)


def _shifted(shape: StackShape) -> StackShape:
    bricks = (replace(shape.bricks[0], offset=(1, 3)), replace(shape.bricks[1], offset=(0, 2)), *shape.bricks[2:])
    return replace(shape, bricks=bricks)


def _without_coordinates(shape: StackShape) -> StackShape:
    bricks = tuple(replace(brick, coordinates=0) for brick in shape.bricks)
    return replace(shape, coordinates="none", bricks=bricks)


def with_ddpm(shape: StackShape, variance: Variance = "fixed_small") -> StackShape:
    """The stack on a short chain of DDPM; its noise levels lie between those of `batch`."""
    diffusion = DdpmConstants(steps=300, variance=variance)
    channels = replace(shape, diffusion=diffusion).variance_channels
    bricks = tuple(replace(brick, variance_channels=channels) for brick in shape.bricks)
    return replace(shape, diffusion=diffusion, bricks=bricks)


STACKS: dict[str, StackShape] = {
    "PG": _small(2, 4, 8),
    "PR": _small(8, 4, 2, fields=(4, 2, 1)),
    "U": _small(8, 4, 2, 4, 8, fields=(4, 4, 2, 2, 4)),
    "raw": _small(2, 4, 8, carry="raw"),
    "offsets": _shifted(_small(4, 4, 8)),
    "rectangular": _small((2, 8), (4, 4), (4, 8), grid=(4, 8)),
    "unconditional": _small(2, 8, classes=None),
    "linear labels": replace(_small(2, 8), label_form="linear"),
    "widths": _small(2, 4, 8, widths=(8, 16, 24)),
    "channels": _small(2, 8, channels=1),
    "columns first": replace(_small(2, 8), coordinates="column_row", time_scale=1000.0),
    "one brick": _small(8),
    "no coordinates": _without_coordinates(_small(2, 4, 8)),
    "DDPM": with_ddpm(_small(2, 8)),
    "DDPM, variance": with_ddpm(_small(8, 4, fields=(4, 2)), "learned_range"),
    "DDPM, raw": with_ddpm(_small(2, 8, carry="raw"), "learned_range"),
    "sizes that do not nest": _small((4, 6), (12, 4), (6, 12), grid=(12, 12), fields=(2, 4, 1), widths=(8, 8, 8)),
}
"""One small stack of every form that programs may take."""


def choices() -> Iterator[tuple[str, Pipeline]]:
    """Every choice of exact passes to hold against the others: all, none, and each left out alone."""
    every = choose()
    yield "all", every
    yield "none", Pipeline((), ())
    for name in every.names:
        yield f"without {name}", choose(disable=[name])
    for name in every.names:
        yield f"{name} alone", choose(disable=[other for other in every.names if other != name])


CHOICES = dict(choices())


def configurations(shape: StackShape) -> tuple[Configuration, ...]:
    """Every set of bricks that can run."""
    return tuple(c for n in range(1, len(shape.ids) + 1) for c in combinations(shape.ids, n))


@cache
def store_of(name: str):
    """A store of a stack in float64, every weight non-zero."""
    return random_store(STACKS[name], dtype=torch.float64)


@cache
def plain(name: str, configuration: Configuration) -> Tensor:
    """What the paper's formulas give for a configuration."""
    x, sigma, *label = batch(STACKS[name], 2, dtype=torch.float64)
    with torch.no_grad():
        weights: dict[str, Tensor] = {**store_of(name).weights}
        return plain_estimate(STACKS[name], weights, x, sigma, label[0] if label else None, configuration)


def sampling_error(name: str, pipeline: Pipeline) -> float:
    """The largest difference of a linked configuration from the formulas, over all configurations."""
    shape, worst = STACKS[name], 0.0
    arguments = batch(shape, 2, dtype=torch.float64)
    for configuration in configurations(shape):
        module = link(sampling_program(shape, configuration, pipeline), store_of(name))
        with torch.no_grad():
            worst = max(worst, difference(module(*arguments), plain(name, configuration)))
    return worst


def training_results(name: str, train: TrainSettings, pipeline: Pipeline) -> dict[str, Tensor]:
    """Every result of the training program, and the gradient that a loss on all of them gives each weight."""
    shape = STACKS[name]
    store = random_store(shape, dtype=torch.float64)
    program = training_program(shape, train, pipeline)
    generator = torch.Generator().manual_seed(3)
    x, sigma, *label = batch(shape, 2, dtype=torch.float64)
    given = {"x": x, "sigma": sigma, "clean": torch.randn(x.shape, generator=generator, dtype=torch.float64)}
    given |= {"label": label[0]} if label else {}
    for brick in shape.bricks:
        order = [torch.randperm(brick.windows, generator=generator) for _ in range(2)]
        given[f"{brick.id}.windows"] = torch.stack([o[: brick.windows_trained].sort().values for o in order])
    outputs: Any = link(program, store)(*(given[argument] for argument, _ in program.inputs))
    values = cast("tuple[Tensor, ...]", outputs if isinstance(outputs, tuple) else (outputs,))
    results = dict(zip((result for result, _ in program.outputs), values, strict=True))
    estimates = [value for result, value in results.items() if result.startswith("estimate.")]
    loss = sum(((i + 1) * estimate.sin().sum() for i, estimate in enumerate(estimates)), torch.zeros(()))
    loss.backward()  # pyright: ignore[reportUnknownMemberType]
    gradients = {f"gradient of {key}": weight.grad for key, weight in store.weights.items() if weight.grad is not None}
    return {key: value.detach() for key, value in {**results, **gradients}.items()}


def difference(ours: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value where that is above 1."""
    return float((ours - expected).abs().max() / expected.abs().max().clamp(min=1))
