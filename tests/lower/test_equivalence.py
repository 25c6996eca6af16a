"""Programs under every choice of exact passes compute what the paper's formulas say, in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from legoc.lower.passes.rewrite import with_ops
from legoc.lower.pipeline import Pipeline
from legoc_runtime.contract.settings import TrainSettings
from tests.lower.equivalence import BOUND, CHOICES, STACKS, difference, sampling_error, training_results


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("choice", CHOICES)
def test_every_configuration_equals_the_plain_stack(name: Any, choice: Any):
    assert sampling_error(name, CHOICES[choice]) < BOUND


TRAININGS = {
    "noisy": TrainSettings(),
    "x0": TrainSettings(fill="x0"),
    "model": TrainSettings(fill="model"),
    "zeros, detached": TrainSettings(fill="zeros", gradient="detached"),
}


TRAINED = ["PG", "U", "raw", "offsets", "rectangular", "no coordinates", "one brick", "DDPM, variance"]


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("train", TRAININGS)
def test_training_and_its_gradients_do_not_depend_on_passes(name: Any, train: Any):
    expected = training_results(name, TRAININGS[train], CHOICES["none"])
    assert any(key.startswith("gradient of ") for key in expected)
    for choice, pipeline in CHOICES.items():
        ours = training_results(name, TRAININGS[train], pipeline)
        assert ours.keys() == expected.keys(), choice
        assert max(difference(ours[key], expected[key]) for key in expected) < BOUND, choice


@dataclass(frozen=True)
class Shift:
    """A wrong pass: its preconditioning is off by 1e-10."""

    name: ClassVar[str] = "shift"

    def apply(self, program: Any, shape: Any):
        return with_ops(program, (replace(program.ops[0], sigma_data=0.5 + 1e-10), *program.ops[1:]))


def test_a_wrong_pass_is_noticed():
    assert sampling_error("one brick", Pipeline((Shift(),), ())) > BOUND
