"""Schedules written as predicates over sigma."""

from __future__ import annotations

import random

import pytest

from legoc.policies.predicates import (
    Band,
    band_policy,
    candidates,
    policy_of,
    sigma_predicates,
    split_levels,
    written_policy,
)
from legoc_runtime.contract.policy import tabulate
from legoc_runtime.contract.schedule import edm_levels, noise_levels
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants

IDS = ("a", "b", "c")
LEVELS = edm_levels(18, EdmConstants())


def test_a_schedule_reads_as_a_person_would_write_it():
    rows = [("a", "b")] * 6 + [IDS] * 6 + [("b",)] * 6
    assert sigma_predicates(rows, IDS, LEVELS) == {"a": "sigma < 0.42", "c": "sigma > 10 or sigma < 0.42"}


@pytest.mark.parametrize("levels", [LEVELS, edm_levels(256, EdmConstants()), noise_levels(40, DdpmConstants())])
def test_predicates_say_exactly_what_the_schedule_does(levels):
    draw = random.Random(1)
    choices = list(candidates(IDS))
    for _ in range(20):
        cuts = sorted(draw.sample(range(len(levels)), 5))
        rows = tuple(choices[sum(cut <= i for cut in cuts)] for i in range(len(levels)))
        draw.shuffle(choices)
        assert written_policy("found", rows, IDS, levels)[2].configurations == rows


def test_predicates_hold_at_another_number_of_steps():
    rows = [IDS] * 9 + [("a", "b")] * 9
    policy = policy_of("found", sigma_predicates(rows, IDS, LEVELS))
    finer = edm_levels(180, EdmConstants())
    skipped = tabulate(policy, IDS, finer).skipped("c")
    assert 80 < skipped < 100


def test_bands_cover_the_schedule_once():
    for levels, bands in ((18, 6), (18, 7), (5, 9), (2, 1)):
        cut = split_levels(levels, bands)
        assert [level for band in cut for level in range(band.start, band.stop)] == list(range(levels))
        assert len(cut) == min(levels, bands)


def test_a_band_alone_runs_its_configuration():
    table = tabulate(band_policy(IDS, ("b",), Band(3, 5)), IDS, LEVELS)
    assert [i for i, row in enumerate(table.configurations) if row == ("b",)] == [3, 4]
    assert set(table.configurations) == {IDS, ("b",)}


def test_large_stacks_leave_out_two_bricks_at_most():
    assert len(candidates(IDS)) == 7
    assert candidates(IDS)[0] == IDS
    found = candidates("abcdef")
    assert min(map(len, found)) == 4
    assert len(found) == 1 + 6 + 15


def test_a_broken_predicate_is_named():
    with pytest.raises(ValueError, match="`a`"):
        policy_of("found", {"a": "sigma <"})
