"""Seeds to estimates, and the trace that holds the stack to its policy."""

from __future__ import annotations

import pytest
import torch

from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.predicate import Compare, Logic, Name, Number
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling.run import SamplingRun
from legoc_runtime.sampling.timing import Timing, time_saved
from tests.sampling.fakes import FormulaStack, plan, shape

ALL = ("windows", "parts", "image")


def pictures(run: SamplingRun, batch: int) -> torch.Tensor:
    return torch.cat([sampled.pictures for sampled in run.batches(batch)])


@pytest.mark.parametrize("settings", [{}, {"churn": 4.0}, {"guidance": 2.0}])
def test_a_picture_does_not_depend_on_its_batch(settings: dict[str, float]):
    wanted = plan(seeds=tuple(range(7)), **settings)
    alone, together = (pictures(SamplingRun(FormulaStack(shape()), wanted), batch) for batch in (1, 7))
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-6)
    assert together.dtype == torch.float32


def test_a_correction_runs_the_configuration_of_the_level_that_it_evaluates():
    stack = FormulaStack(shape())
    run = SamplingRun(stack, plan(seeds=(0, 1)))
    pictures(run, batch=2)
    table = run.plan.table
    first = next(i for i, configuration in enumerate(table.configurations) if configuration != ALL)
    calls = {(call.step, call.order): call for call in run.trace.calls}
    assert calls[first - 1, 1].bricks == ALL
    assert calls[first - 1, 2].bricks == calls[first, 1].bricks == ("windows", "parts")
    assert calls[first - 1, 2].sigma == table.levels[first].sigma
    assert [call.bricks for call in run.trace.calls] == [configuration for _, configuration in stack.calls]


def test_under_guidance_the_same_bricks_run_on_twice_the_rows():
    stack = FormulaStack(shape())
    run = SamplingRun(stack, plan(seeds=(0, 1), guidance=3.0))
    pictures(run, batch=2)
    assert {rows for rows, _ in stack.calls} == {4}
    assert ("windows", "parts") in {configuration for _, configuration in stack.calls}


def test_official_bug_b1_a_stack_that_skips_nothing_stops_the_run():
    class SkipsNothing(FormulaStack):
        def bricks_run(self, configuration):
            return self.shape.ids

    with pytest.raises(RunError, match=r"ran windows\+parts\+image at step .* where policy `late` runs windows\+parts"):
        pictures(SamplingRun(SkipsNothing(shape()), plan()), batch=5)


def test_official_bug_b2_a_wrapper_that_drops_the_configuration_stops_the_run(monkeypatch):
    run = SamplingRun(FormulaStack(shape()), plan(guidance=2.0))
    guided = run._guided
    monkeypatch.setattr(run, "_guided", lambda x, sigma, labels, *, configuration: guided(x, sigma, labels))
    with pytest.raises(RunError, match="ran windows"):
        pictures(run, batch=5)


def test_official_bug_b4_any_brick_can_go_at_any_noise_level():
    middle = Compare(Number(0.1), (("<", Name("sigma")), ("<", Number(10))))
    ends = Logic(
        "or",
        (Compare(Name("progress"), (("<", Number(0.3)),)), Compare(Name("sigma"), (("<", Number(0.01)),))),
    )
    stack = FormulaStack(shape())
    run = SamplingRun(stack, plan(Policy("odd", (("parts", middle), ("windows", ends))), steps=9))
    pictures(run, batch=5)
    ran = {call.bricks for call in run.trace.calls}
    assert ran >= {("parts", "image"), ("windows", "image")}


def test_a_picture_that_is_not_finite_names_its_seed():
    class Diverges(FormulaStack):
        def __call__(self, x, sigma, labels=None, *, configuration=None):
            estimate = super().__call__(x, sigma, labels, configuration=configuration)
            estimate[1] = float("nan")
            return estimate

    with pytest.raises(RunError, match="seed 11 is not finite"):
        pictures(SamplingRun(Diverges(shape()), plan(seeds=(10, 11, 12))), batch=3)


def test_every_image_of_every_evaluation_is_reported_and_timed():
    seen: list[int] = []
    run = SamplingRun(FormulaStack(shape()), plan(seeds=(0, 1, 2), guidance=2.0))
    for _ in run.batches(2, on_call=seen.append):
        pass
    evaluations = len(run.plan.evaluations)
    assert seen == [2] * evaluations + [1] * evaluations
    assert sum(timing.images for timing in run.timings.values()) == 3 * evaluations
    assert len(run.trace.calls) == evaluations


def test_an_empty_batch_is_refused():
    with pytest.raises(UsageError):
        pictures(SamplingRun(FormulaStack(shape()), plan()), batch=0)


def test_time_saved_compares_with_the_whole_stack_and_ignores_the_first_call():
    wanted = plan()
    skipped = sum(wanted.configuration_at(evaluation) != ALL for evaluation in wanted.evaluations)
    full, short = Timing(), Timing()
    for seconds in (9.0, 2.0, 2.0):
        full.add(4, seconds)
    for seconds in (9.0, 1.0):
        short.add(4, seconds)
    saved = time_saved(wanted, {ALL: full, ("windows", "parts"): short})
    assert saved == pytest.approx(0.5 * skipped / len(wanted.evaluations))
    assert time_saved(wanted, {("windows", "parts"): short}) is None
