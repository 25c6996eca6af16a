"""Conditioning computed ahead: the same pictures, bit by bit, in every batch and under every bound of memory."""

from __future__ import annotations

import pytest
import torch

from legoc_runtime.contract.request import parse_classes
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.sampling.plan import Plan, make_plan
from legoc_runtime.sampling.run import BATCH_BOUND, SamplingRun, sampler_of
from legoc_runtime.stack import DEFAULT_TABLE_BYTES, BrickStack
from tests.sampling.fakes import FormulaStack
from tests.sampling.fakes import plan as formula_plan
from tests.stack.conditioned import SMALL, brick_stack
from tests.stacks import stack as shapes

SEEDS = tuple(range(8))


def plan(
    stack: BrickStack, *, steps: int = 3, guidance: float = 2.0, churn: float = 2.0, seeds: tuple[int, ...] = SEEDS
) -> Plan:
    settings = SampleSettings(steps=steps, guidance=guidance, churn=churn)
    conditional = stack.shape.classes is not None
    classes = parse_classes("0,4,2") if conditional else None
    return make_plan(stack.shape, stack.manifest.policy("halfway"), settings, seeds, classes)


def sample(run: SamplingRun, batch: int) -> torch.Tensor:
    return torch.cat([sampled.pictures for sampled in run.batches(batch)])


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_pictures_are_the_same_bits_in_every_batch(guidance: float):
    stack = brick_stack()
    wanted = plan(stack, guidance=guidance)
    together = sample(SamplingRun(stack, wanted), 8)
    assert torch.equal(sample(SamplingRun(stack, wanted), 3), together)
    alone = plan(stack, guidance=guidance, seeds=SEEDS[:2])
    assert torch.equal(sample(SamplingRun(stack, alone), 1), together[:2])


def test_pictures_are_the_same_bits_whatever_a_table_may_hold():
    """All labels at once, a table a batch in windows of levels, one level at a time."""
    stack = brick_stack()
    wanted = plan(stack)
    whole = SamplingRun(stack, wanted)
    together = sample(whole, 3)
    assert whole.ahead is not None
    assert whole.ahead.record()["windows"] == 1
    for bound in (whole.ahead.table.bytes // 2, 1):
        run = SamplingRun(stack, wanted, table_bytes=bound)
        assert torch.equal(sample(run, 3), together)
        assert run.ahead is not None
        record = run.ahead.record()
        assert record["windows"] > 1
        assert record["direct"] == 0
        assert record["looked_up"] == len(run.plan.evaluations) * 3
        assert bound == 1 or record["peak_bytes"] <= bound


@pytest.mark.parametrize("churn", [0.0, 4.0])
def test_every_level_of_a_run_is_foreseen(churn: float):
    """Predictors after churn, corrections, both halves of guidance."""
    stack = brick_stack()
    wanted = plan(stack, churn=churn, steps=4)
    run = SamplingRun(stack, wanted)
    sample(run, 8)
    assert run.ahead is not None
    assert run.ahead.table.use.direct == 0
    assert run.ahead.table.use.looked_up == len(wanted.evaluations)
    sampler = sampler_of(wanted)
    assert [call.sigma for call in run.trace.calls] == [sampler.sigma_of(found) for found in wanted.evaluations]
    # without churn a correction and the next step's predictor share their level
    assert len(run.ahead.table.calls) == (len(wanted.evaluations) if churn else 4)


def test_pictures_without_tables_differ_by_no_more_than_the_stated_bound():
    stack = brick_stack()
    wanted = plan(stack)
    run = SamplingRun(stack, wanted, table_bytes=0)
    assert run.ahead is None
    pictures, looked_up = sample(run, 3), sample(SamplingRun(stack, wanted), 8)
    # the bound is for pictures in [-1, 1]; random weights overshoot
    assert (pictures - looked_up).abs().max() / pictures.abs().max() <= BATCH_BOUND


def test_an_unconditional_stack_is_tabulated_too():
    stack = brick_stack(shapes(classes=None, windows=(4, 8, 16), grid=(16, 16), receptive_fields=(2, 4, 2)))
    wanted = plan(stack, guidance=1.0, seeds=SEEDS[:4])
    assert torch.equal(sample(SamplingRun(stack, wanted), 1), sample(SamplingRun(stack, wanted), 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sixteen_bit_weights_keep_a_float32_state(dtype: torch.dtype):
    stack = brick_stack(dtype=dtype)
    wanted = plan(stack, guidance=1.0)
    pictures = sample(SamplingRun(stack, wanted), 8)
    assert torch.equal(sample(SamplingRun(stack, wanted), 3), pictures)
    assert not torch.equal(pictures, pictures.to(dtype).float())


@pytest.mark.compiler
def test_compiled_stacks_look_up_the_same_bits():
    # blocks and final layers of one form, so that one of each is compiled
    shape = shapes(windows=(4, 4), grid=(8, 8), receptive_fields=(2, 2))
    eager, compiled = brick_stack(shape), brick_stack(shape, backend="inductor")
    wanted = plan(eager, seeds=SEEDS[:4])
    together = sample(SamplingRun(compiled, wanted), 4)
    assert torch.equal(sample(SamplingRun(compiled, wanted), 2), together)
    assert (together - sample(SamplingRun(eager, wanted), 4)).abs().max() / together.abs().max() <= BATCH_BOUND


def test_a_stack_of_ones_own_is_called_as_it_is():
    assert SamplingRun(FormulaStack(SMALL), formula_plan()).ahead is None


def test_the_default_bound_is_what_the_manual_says():
    assert DEFAULT_TABLE_BYTES == 256 * 2**20
