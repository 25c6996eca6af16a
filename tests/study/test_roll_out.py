"""Policies rolled out from the same seeds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from legoc_runtime.contract.policy import Configuration, Policy
from legoc_runtime.contract.predicate import Compare, Name, Number
from legoc_runtime.contract.schedule import evaluations
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.errors import UsageError
from legoc_runtime.study.interleaved import STEPS, interleaved_times
from legoc_runtime.study.roll_out import RollOuts
from tests.sampling.fakes import IDS, shape

SETTINGS = SampleSettings(steps=5, guidance=1, batch=2)


class Biased:
    """Estimates that are off by a constant where the top brick is left out."""

    configurations = (IDS, IDS[:2])

    def __call__(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, *, configuration: Configuration
    ) -> Tensor:
        return torch.full_like(x, 0.25 if IDS[2] in configuration else 0.75)

    def bricks_run(self, configuration: Configuration) -> Configuration:
        return configuration


def without_top(low: float) -> Policy:
    return Policy("some", ((IDS[2], Compare(Name("sigma"), (("<", Number(low)),))),))


def test_errors_are_those_of_the_last_pictures():
    rolls = RollOuts(Biased(), shape(), SETTINGS, range(3))
    assert rolls.error(Policy("none")) == 0
    # the last evaluation alone decides: from there the state is its estimate
    assert rolls.error(without_top(0.01)) == pytest.approx(0.5)
    assert rolls.error(without_top(1000)) == pytest.approx(0.5)


def test_configurations_have_times_once_they_ran():
    rolls = RollOuts(Biased(), shape(), SETTINGS, range(3))
    assert rolls.time_a_row(IDS) == 1
    with pytest.raises(KeyError):
        rolls.time_a_row(IDS[:2])
    rolls.error(without_top(1))
    assert rolls.time_a_row(IDS[:2]) > 0


def test_configurations_are_timed_against_the_whole_stack_in_turns():
    never, always = without_top(0), without_top(1000)
    seen: list[int] = []
    found = interleaved_times(Biased(), shape(), SETTINGS, range(3), [always], rounds=2, on_call=seen.append)
    assert found.keys() == {IDS, IDS[:2]}
    passes, calls = (2 + 1) * 2, len(evaluations(SETTINGS.sampler, STEPS))
    assert sum(seen) == passes * calls * SETTINGS.batch
    assert found[IDS] == 1
    assert found[IDS[:2]] > 0
    assert interleaved_times(Biased(), shape(), SETTINGS, range(3), [never], rounds=1) == {IDS: 1}
    with pytest.raises(UsageError, match="several configurations"):
        interleaved_times(Biased(), shape(), SETTINGS, range(3), [without_top(1)])
