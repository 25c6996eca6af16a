"""Policies of Figure 4: a brick that rests in a share of the steps."""

from __future__ import annotations

import pytest

from legoc.study.skip import parse_shares, rests
from legoc_runtime.contract.policy import builtin_policy, tabulate
from legoc_runtime.contract.schedule import noise_levels
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.errors import UsageError
from tests.stacks import stack

SHAPE = stack()
LEVELS = noise_levels(18, EdmConstants())


@pytest.mark.parametrize("end", ["early", "late"])
def test_a_share_is_so_many_steps_at_its_end(end: str):
    for rest in rests(SHAPE, ["parts"], end, [i / 18 for i in range(19)]):
        table = tabulate(rest.policy(), SHAPE.ids, LEVELS)
        assert table.skipped("parts") == round(18 * rest.share)
        assert len(table.breaks()) <= 1
        first = 0 if end == "early" else -1
        assert "parts" not in table.configurations[first]
        assert table.distinct()[-1] in (SHAPE.ids, ("windows", "whole"))


def test_half_of_the_steps_of_the_top_brick_is_halfway():
    for shape in (SHAPE, stack((32, 16, 4), receptive_fields=(2, 8, 2))):
        (rest,) = rests(shape, [shape.ids[-1]], "paper", [0.5])
        halfway = builtin_policy("halfway", shape.bricks)
        assert halfway is not None
        ours, theirs = (tabulate(policy, shape.ids, LEVELS) for policy in (rest.policy(), halfway))
        assert ours.configurations == theirs.configurations


def test_image_bricks_rest_late_and_the_others_early_unless_said():
    found = rests(SHAPE, [], "paper", [0, 1])
    assert [(rest.brick, rest.end) for rest in found] == [("windows", "early"), ("parts", "early"), ("whole", "late")]
    assert len(rests(SHAPE, ["whole"], "both", [0, 0.5, 1])) == 4


def test_a_stack_of_one_brick_has_no_study():
    with pytest.raises(UsageError, match="one brick"):
        rests(stack((32,)), [], "paper", [1])


@pytest.mark.parametrize("text", ["", "a", "0,2", "-1", "nan", "0.5,0.5"])
def test_shares_that_are_none(text: str):
    with pytest.raises(UsageError, match="--shares"):
        parse_shares(text)
