"""What is asked for: seeds, classes, settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.request import parse_classes, parse_seeds, seeds_text
from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.classes import labels_of
from tests.sampling.fakes import LATE, plan, shape


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20, unique=True))
def test_seeds_survive_their_text(seeds: list[int]):
    assert parse_seeds(seeds_text(seeds)) == tuple(seeds)


def test_seeds_are_numbers_and_inclusive_ranges():
    assert parse_seeds("1, 5,9-12") == (1, 5, 9, 10, 11, 12)
    assert seeds_text((1, 5, 9, 10, 11, 12)) == "1,5,9-12"


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "1..4", "5-2", "3,3", "0-4,2", "0-99999999", str(2**64), "1,,2"])
def test_other_seeds_are_refused(text: str):
    with pytest.raises(UsageError):
        parse_seeds(text)


def test_a_class_is_a_function_of_the_seed():
    rule = parse_classes("random")
    together = labels_of(rule, range(64), 9)
    assert together is not None
    alone = [labels_of(rule, [seed], 9) for seed in range(64)]
    assert alone == [(label,) for label in together]
    assert set(together) == set(range(9))
    assert labels_of(parse_classes("balanced"), range(6), 3) == (0, 1, 2, 0, 1, 2)
    assert labels_of(parse_classes("4,7"), [10, 11, 12], 9) == (4, 7, 4)


@pytest.mark.parametrize(("text", "classes"), [("9", 9), ("0,12", 9), ("0", None), ("balanced", None)])
def test_classes_that_do_not_exist_are_refused(text: str, classes: int | None):
    with pytest.raises(UsageError):
        labels_of(parse_classes(text), [0], classes)


@pytest.mark.parametrize("text", ["", "cat", "-1", "1.5", "1;2"])
def test_what_names_no_class_is_refused(text: str):
    with pytest.raises(UsageError, match="does not name classes"):
        parse_classes(text)


def test_official_bug_b16_an_unconditional_stack_refuses_guidance_and_classes_by_shape_alone():
    unconditional = shape(classes=None)
    assert plan(stack=unconditional).labels is None
    with pytest.raises(UsageError, match="unconditional"):
        plan(stack=unconditional, guidance=1.5)
    with pytest.raises(UsageError, match="unconditional"):
        plan(stack=unconditional, classes="3")


@pytest.mark.parametrize(
    "settings",
    [
        {"guidance": -1.0},
        {"guidance": float("inf")},
        {"guidance": float("nan")},
        {"churn": -1.0},
        {"churn_noise": 0.0},
        {"churn_noise": float("nan")},
        {"churn_min": 5.0, "churn_max": 1.0},
        {"steps": 1},
        {"sampler": "ddpm"},
        {"sampler": "dpmpp_2m", "churn": 4.0},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]):
    with pytest.raises(UsageError):
        plan(**settings)


def test_the_levels_know_whether_they_are_guided():
    assert not any(level.guided for level in plan().table.levels)
    assert all(level.guided for level in plan(guidance=2.0).table.levels)


def test_a_policy_that_skips_nothing_is_noticed():
    assert plan(Policy("none")).skips_nothing
    assert not plan(LATE).skips_nothing
