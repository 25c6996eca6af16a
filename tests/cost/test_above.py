"""What a pretrained model above other bricks costs: its programs counted, and the ways in which a loss passes it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from legoc.cost import executed_macs, executed_training_macs, macs, program_macs, training_macs
from legoc.cost.counts import TRAINING_OVER_FORWARD, pretrained_training_macs, rest_macs, window_macs
from legoc.lower.pipeline import choose, sampling_program, training_program
from legoc_runtime.contract.curriculum import Variant, whole
from legoc_runtime.contract.program import OtherWindows
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import PretrainedShape, StackShape
from tests.stacks import stack

OWN = stack(condition_width=64)
MODEL = PretrainedShape("given", "stack", "runs/old", True, None, 0.0, None, "x0", (), stack=OWN, noise_scale=0.5)


def over(place: int, *, frozen: bool = True) -> StackShape:
    """A stack with a model, a stack itself, over so many of its bricks."""
    model = replace(MODEL, place=place, frozen=frozen, noise_scale=0.5 if place else None)
    return replace(OWN, pretrained=model)


@pytest.mark.parametrize("place", [1, 2, 3])
def test_every_configuration_costs_what_its_program_runs(place: int) -> None:
    shape = over(place)
    for count in range(1, 5):
        for runs in combinations(shape.ids, count):
            program = sampling_program(shape, runs, choose())
            assert program_macs(program, shape) == executed_macs(shape, runs), runs


@pytest.mark.parametrize(
    ("place", "frozen", "gradient", "factor"),
    [
        (0, True, "through", 1),
        (1, True, "through", TRAINING_OVER_FORWARD - 1),
        (1, True, "detached", 1),
        (1, False, "detached", TRAINING_OVER_FORWARD),
        (3, True, "through", 0),  # no loss reads it
        (3, False, "through", TRAINING_OVER_FORWARD),
    ],
)
def test_a_step_runs_a_model_as_far_as_losses_need_it(place: int, frozen: bool, gradient: str, factor: int) -> None:
    shape, train = (
        over(place, frozen=frozen),
        TrainSettings(gradient="through" if gradient == "through" else "detached"),
    )
    step = whole(shape.ids, shape.fixed)
    assert pretrained_training_macs(shape, train, step) == factor * macs(OWN)
    without = replace(shape, pretrained=None)
    assert training_macs(shape, train) - training_macs(without, train) == factor * macs(OWN)
    if place == 1:  # the brick above reads the model in place of the bottom one, and its gradient goes on or does not
        assert executed_training_macs(shape, train) - executed_training_macs(without, train) == factor * macs(OWN)


@pytest.mark.parametrize(("frozen", "runs_again"), [(True, 2), (False, 3)])
def test_windows_are_filled_for_a_model_at_the_top_that_trains(frozen: bool, runs_again: int) -> None:
    """A frozen one there is no part of training, so that nothing reads the brick under it."""
    halves = tuple(replace(brick, train_patches=0.5) for brick in stack((4, 16, 16), condition_width=64).bricks)
    shape, train = replace(over(3, frozen=frozen), bricks=halves), TrainSettings(fill="model")
    program = training_program(shape, train, choose())
    assert sum(isinstance(op, OtherWindows) for op in program.ops) == runs_again
    expected = sum((b.windows - b.windows_trained) * window_macs(b) for b in halves[:runs_again])
    assert rest_macs(shape, train, whole(shape.ids, shape.fixed)) == expected


def test_a_stage_that_leaves_what_is_below_alone_runs_a_frozen_model_forward_only() -> None:
    shape = over(1)
    later = Variant(shape.ids, shape.ids[2:], ("given",))
    assert pretrained_training_macs(shape, TrainSettings(), later) == macs(OWN)
