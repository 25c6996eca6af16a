"""What a picture owes to its batch: rounding, by no more than `run.BATCH_BOUND`, measured on a real stack."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from legoc.driver import lower_configuration
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.settings import SampleSettings, TrainSettings
from legoc_runtime.sampling.pictures import to_uint8
from legoc_runtime.sampling.plan import Plan, make_plan
from legoc_runtime.sampling.run import BATCH_BOUND, BATCH_BOUND_LEVELS, SamplingRun
from legoc_runtime.stack import BrickStack
from tests.stacks import random_store, stack

SETTINGS = SampleSettings(steps=4, guidance=2.0, churn=2.0)
SHAPE = stack(windows=(4, 8, 16), grid=(16, 16), receptive_fields=(2, 4, 2))
SEEDS = {1: 4, 7: 64, 64: 64}
"""Batch -> seeds: one at a time is slow."""


def manifest() -> Manifest:
    return Manifest("small", "", "0", "0", SHAPE, 0.1, (), None, "none", TrainSettings(), SETTINGS, (), ())


def pictures(loaded: BrickStack, plan: Plan, batch: int) -> torch.Tensor:
    return torch.cat([sampled.pictures for sampled in SamplingRun(loaded, plan).batches(batch)])


@pytest.fixture(scope="module")
def sampled() -> dict[int, torch.Tensor]:
    build = manifest()
    plans = {batch: make_plan(SHAPE, build.policy("halfway"), SETTINGS, range(count)) for batch, count in SEEDS.items()}
    programs = [lower_configuration(build, configuration) for configuration in plans[1].table.distinct()]
    loaded = BrickStack(build, random_store(SHAPE), extra_programs=programs)
    return {batch: pictures(loaded, plan, batch) for batch, plan in plans.items()}


def test_the_same_batch_has_the_same_bits(sampled: dict[int, torch.Tensor]):
    build = manifest()
    plan = make_plan(SHAPE, build.policy("halfway"), SETTINGS, range(7))
    programs = [lower_configuration(build, configuration) for configuration in plan.table.distinct()]
    again = pictures(BrickStack(build, random_store(SHAPE), extra_programs=programs), plan, 7)
    assert torch.equal(again, sampled[7][:7])


@pytest.mark.parametrize("batch", [1, 7])
def test_a_picture_differs_between_batches_by_no_more_than_the_stated_bound(
    sampled: dict[int, torch.Tensor], batch: int
):
    together = sampled[64][: SEEDS[batch]]
    assert (sampled[batch] - together).abs().max().item() <= BATCH_BOUND
    levels = np.abs(to_uint8(sampled[batch]).astype(int) - to_uint8(together).astype(int)).max()
    assert levels <= BATCH_BOUND_LEVELS


def test_the_bound_in_grey_levels_follows_from_the_bound_of_the_estimate():
    # rounding down moves by one level at most while the estimate moves by less than one
    assert BATCH_BOUND * 127.5 < 1 == BATCH_BOUND_LEVELS


def test_neighbouring_seeds_are_far_more_different_than_the_bound(sampled: dict[int, torch.Tensor]):
    assert (sampled[64][0] - sampled[64][1]).abs().max() > 100 * BATCH_BOUND


def test_policies_share_their_noise(sampled: dict[int, torch.Tensor]):
    build = manifest()
    plan = make_plan(SHAPE, Policy("none"), SETTINGS, range(4))
    programs = [lower_configuration(build, SHAPE.ids)]
    whole = pictures(BrickStack(build, random_store(SHAPE), extra_programs=programs), plan, 4)
    # the same noise under another policy: alike, and not the same
    assert not torch.equal(whole, sampled[64][:4])
    own, other = whole.flatten(1), sampled[64][:4].flatten(1)
    likeness = torch.cosine_similarity(own[:, None], other[None], dim=-1)
    assert torch.equal(likeness.argmax(dim=1), torch.arange(4))
