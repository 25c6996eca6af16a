"""Truth tables and the built-in policies."""

from __future__ import annotations

import pytest

from legoc_runtime.contract import predicate as p
from legoc_runtime.contract.policy import Policy, builtin_policy, tabulate
from legoc_runtime.contract.schedule import edm_levels, heun_evaluations
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.errors import UsageError
from tests.stacks import stack

PG, PR = (
    stack().bricks,
    stack(windows=(32, 16, 4), receptive_fields=(2, 8, 2), ids=("whole", "parts", "windows")).bricks,
)


def table(policy, bricks, steps):
    return tabulate(policy, [brick.id for brick in bricks], edm_levels(steps, EdmConstants()))


@pytest.mark.parametrize("steps", [2, 18, 75, 256])
def test_halfway_leaves_out_an_image_brick_late_and_a_patch_brick_early(steps):
    pg, pr = table(builtin_policy("halfway", PG), PG, steps), table(builtin_policy("halfway", PR), PR, steps)
    assert pg.skipped("whole") + pr.skipped("windows") == steps
    assert [b.runs for b in pg.breaks()] == [False]
    assert [b.runs for b in pr.breaks()] == [True]
    assert pg.breaks()[0].step == pr.breaks()[0].step


@pytest.mark.parametrize("steps", [10, 75, 256])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.4, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("bricks", [PG, PR], ids=["PG", "PR"])
def test_the_share_is_the_share_of_steps_to_the_nearest_one(steps, share, bricks):
    skipped = table(builtin_policy(f"halfway:{share}", bricks), bricks, steps).skipped(bricks[-1].id)
    assert abs(skipped - share * steps) <= 0.5


@pytest.mark.parametrize("text", ["halfway:", "halfway:two", "halfway:1.5", "halfway:-0.1", "halfway:nan"])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="from 0 to 1"):
        builtin_policy(text, PG)


def test_halfway_needs_two_bricks():
    with pytest.raises(UsageError, match="two bricks"):
        builtin_policy("halfway", PG[:1])


def test_the_middle_may_go_and_come_back():
    between = p.Compare(p.Number(0.3), (("<=", p.Name("progress")), ("<", p.Number(0.6))))
    result = table(Policy("middle", (("parts", between),)), PG, 11)
    assert [run.configuration for run in result.runs()] == [
        ("windows", "parts", "whole"),
        ("windows", "whole"),
        ("windows", "parts", "whole"),
    ]
    assert [(b.brick, b.step, b.runs) for b in result.breaks()] == [("parts", 3, False), ("parts", 6, True)]


def test_a_policy_that_leaves_no_brick_is_refused_with_the_step():
    never = p.Compare(p.Name("sigma"), (("<", p.Number(1.0)),))
    with pytest.raises(UsageError, match="no brick at step"):
        table(Policy("all", tuple((brick.id, never) for brick in PG)), PG, 18)
    with pytest.raises(UsageError, match="ghost"):
        table(Policy("ghost", (("ghost", never),)), PG, 18)


def test_heun_evaluates_each_level_twice_but_the_first_and_uses_no_level_past_the_last():
    evaluations = heun_evaluations(3)
    assert [(e.step, e.order, e.level) for e in evaluations] == [
        (0, 1, 0),
        (0, 2, 1),
        (1, 1, 1),
        (1, 2, 2),
        (2, 1, 2),
    ]


def test_a_schedule_of_one_step_is_refused():
    with pytest.raises(UsageError, match="2 to"):
        edm_levels(1, EdmConstants())
