"""A pretrained model above other bricks, between them or at the top, held against the formulas, skips included."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from legoc.lower.pipeline import choose, sampling_program, training_program
from legoc.lower.refine import lowest_level
from legoc_runtime.contract.curriculum import Variant
from legoc_runtime.contract.pass_ops import SplitModulations
from legoc_runtime.contract.program_text import to_text
from legoc_runtime.contract.settings import Fill, TrainSettings
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants, PretrainedShape, StackShape
from legoc_runtime.layers.pretrained import PretrainedBrick, PretrainedNetwork
from legoc_runtime.link.link import link
from legoc_runtime.link.split import split
from legoc_runtime.store import WeightStore
from tests.lower.equivalence import BOUND, STACKS, difference, with_ddpm
from tests.plain_stack import plain_estimate
from tests.stacks import batch, random_store


class Squash(PretrainedNetwork):
    """A model that bends its input, so that what it is given shows in what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None) -> Tensor:
        """Of the image and its level."""
        return torch.tanh(self.factor * x) / (1 + level[:, None, None, None])


def above(shape: StackShape, place: int, *, frozen: bool = True, scale: float = 0.4) -> StackShape:
    """A stack with a model over so many of its bricks."""
    given = PretrainedShape("given", "module", "models/own", frozen, "own", 0.0 if frozen else 1.0, None, "x0", ())
    weights = (("factor", ()),)
    return replace(shape, pretrained=replace(given, place=place, noise_scale=scale, weights=weights))


SHAPES = {
    "in the middle": above(STACKS["PG"], 1),
    "at the top": above(STACKS["PG"], 3),
    "raw": above(STACKS["raw"], 2),
    "raw, at the top": above(STACKS["raw"], 3),
    "DDPM": above(STACKS["DDPM"], 1),
    "DDPM, raw": above(with_ddpm(STACKS["raw"]), 1),
}


def store_of(shape: StackShape) -> WeightStore:
    """Every weight of the stack's own non-zero, and the model."""
    given = shape.pretrained
    assert given is not None
    own = random_store(replace(shape, pretrained=None), dtype=torch.float64)
    store = WeightStore(shape, dtype=torch.float64, pretrained=PretrainedBrick(given, Squash()))
    store.load({**store.weights, **own.weights})
    return store


def model(x: Tensor, level: Tensor) -> Tensor:
    return torch.tanh(0.7 * x) / (1 + level)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("passes", ["all", "none"])
def test_every_configuration_equals_the_formula(name: str, passes: str) -> None:
    shape = SHAPES[name]
    pipeline = choose() if passes == "all" else choose(disable=choose().names)
    store, arguments = store_of(shape), batch(shape, 2, dtype=torch.float64)
    weights: dict[str, Tensor] = {**store.weights}
    for count in range(1, len(shape.ids) + 1):
        for runs in combinations(shape.ids, count):
            x, sigma, *label = arguments
            with torch.no_grad():
                expected = plain_estimate(shape, weights, x, sigma, label[0] if label else None, runs, model)
                found = link(sampling_program(shape, runs, pipeline), store)(*arguments)
            assert difference(found, expected) < BOUND, runs


def test_the_lower_level_belongs_to_the_conditioning() -> None:
    shape = SHAPES["in the middle"]
    program = sampling_program(shape, shape.ids, choose())
    parts = split(program, shape)
    assert "given.level" in parts.crossing
    text = to_text(program)
    assert "%given.level: scalar = lower_level(%sigma) {brick=given, scale=0.4, lowest=0.0}" in text
    assert "= less_noise(%a.estimate, %x, %sigma, %given.level) {brick=given}" in text
    # the weights of the two bricks around a model lie side by side
    assert len({op.joined for op in program.ops if isinstance(op, SplitModulations)}) == 1


def test_a_model_is_asked_for_no_level_below_those_that_it_was_trained_for() -> None:
    shape = SHAPES["at the top"]
    given = shape.pretrained
    assert given is not None
    own = replace(STACKS["PG"], diffusion=EdmConstants(sigma_min=0.3))
    assert lowest_level(replace(given, stack=own)) == 0.3
    assert lowest_level(replace(given, stack=replace(own, diffusion=DdpmConstants()))) == pytest.approx(0.01, rel=0.01)
    assert lowest_level(replace(given, sigmas=(0.02, 0.5))) == 0.02
    shape = replace(shape, pretrained=replace(given, stack=own))
    store, (x, _, label) = store_of(shape), batch(shape, 3, dtype=torch.float64)
    sigma = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)  # read as it is; at the lowest level; at its share
    with torch.no_grad():
        below = link(sampling_program(shape, shape.ids[:-1], choose()), store)(x, sigma, label)
        found = link(sampling_program(shape, shape.ids, choose()), store)(x, sigma, label)
    for i, level in enumerate([0.1, 0.3, 0.8]):
        noisy = below[i] + level / sigma[i] * (x[i] - below[i])
        assert difference(found[i], model(noisy, torch.tensor(level, dtype=torch.float64))) < BOUND


def trained(shape: StackShape, train: TrainSettings, variant: Variant | None = None) -> dict[str, Any]:
    """Results of a training program, and the sum of each weight's gradient of a loss on the top brick alone."""
    store = store_of(shape)
    program = training_program(shape, train, choose(), variant=variant)
    x, sigma, *label = batch(shape, 2, dtype=torch.float64)
    given = {"x": x, "sigma": sigma, "clean": x.cos()} | ({"label": label[0]} if label else {})
    for brick in shape.bricks:
        given[f"{brick.id}.windows"] = torch.arange(brick.windows_trained).expand(2, -1)
    outputs: Any = link(program, store)(*(given[argument] for argument, _ in program.inputs))
    values = cast("tuple[Tensor, ...]", outputs if isinstance(outputs, tuple) else (outputs,))
    named = dict(zip((result for result, _ in program.outputs), values, strict=True))
    next(value for result, value in reversed(named.items()) if result.startswith("estimate.")).sin().sum().backward()  # pyright: ignore[reportUnknownMemberType]
    gradients = {key: weight.grad for key, weight in store.weights.items() if weight.grad is not None}
    named = {result: value.detach() for result, value in named.items()}
    return {**named, **{f"gradient of {key}": float(value.abs().sum()) for key, value in gradients.items()}}


def reaches(found: dict[str, Any], id: str) -> bool:
    return any(key.startswith(f"gradient of bricks.{id}.") and value > 0 for key, value in found.items())


@pytest.mark.parametrize("frozen", [True, False])
def test_a_loss_above_reaches_below_through_the_model_unless_it_is_cut(frozen: bool) -> None:
    shape = above(STACKS["PG"], 1, frozen=frozen)
    through = trained(shape, TrainSettings())
    assert reaches(through, "a")
    assert reaches(through, "c")
    assert ("gradient of pretrained.given.factor" in through) != frozen
    cut = trained(shape, TrainSettings(gradient="detached"))
    assert not reaches(cut, "a")
    assert reaches(cut, "c")
    # a stage that leaves the brick below alone: nothing of the model need be kept for the backward pass
    later = Variant(("a", "given", "b", "c"), ("b", "c"), ("given",) if frozen else ())
    staged = trained(shape, TrainSettings(), later)
    assert not reaches(staged, "a")
    program = training_program(shape, TrainSettings(), choose(), variant=later)
    assert "given.frozen" in program.types


@pytest.mark.parametrize("fill", ["noisy", "x0", "zeros", "model"])
@pytest.mark.parametrize("carry", ["PG", "raw"])
def test_windows_that_were_not_trained_are_filled_for_the_model(fill: Fill, carry: str) -> None:
    shape = above(STACKS[carry], 1, frozen=False)
    found = trained(shape, TrainSettings(fill=fill))
    x, sigma, label = batch(shape, 2, dtype=torch.float64)
    with torch.no_grad():
        own = link(sampling_program(shape, ("a",), choose()), store_of(shape))(x, sigma, label)
    column, mask = sigma[:, None, None, None], found["mask.a"]
    stand_in = {"noisy": x / (1 + 4 * column**2), "x0": x.cos(), "zeros": torch.zeros_like(x), "model": own}[fill]
    below = torch.where(mask > 0, own, stand_in)
    expected = torch.tanh(0.7 * (below + 0.4 * (x - below))) / (1 + 0.4 * column)
    assert 0 < float(mask.mean()) < 1
    assert difference(found["estimate.given"], expected) < BOUND


def test_under_raw_the_model_reads_the_estimate_of_the_brick_that_ran() -> None:
    """The estimate of a brick that a step leaves out is made of the network below it, whose windows are a share."""
    shape = above(STACKS["raw"], 2, frozen=False)
    without = Variant(("a", "given", "c"), ("a", "given", "c"))
    found = trained(shape, TrainSettings(fill="x0"), without)
    x, sigma, label = batch(shape, 2, dtype=torch.float64)
    with torch.no_grad():
        own = link(sampling_program(shape, ("a",), choose()), store_of(shape))(x, sigma, label)
    below = torch.where(found["mask.a"] > 0, own, x.cos())
    expected = torch.tanh(0.7 * (below + 0.4 * (x - below))) / (1 + 0.4 * sigma[:, None, None, None])
    assert difference(found["estimate.given"], expected) < BOUND
