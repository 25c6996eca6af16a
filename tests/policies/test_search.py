"""The search over measurements that are formulas."""

from __future__ import annotations

import pytest

from legoc.policies.search import Problem, find, measure
from legoc_runtime.contract.policy import Configuration, Policy, tabulate
from legoc_runtime.contract.schedule import edm_levels, evaluations
from legoc_runtime.contract.stack import EdmConstants
from tests.sampling.fakes import IDS, shape

SHAPE = shape()
LEVELS = edm_levels(12, EdmConstants())
PROBLEM = Problem.of(SHAPE, LEVELS, evaluations("heun", 12), 6)
PRICE = {"windows": 1.0, "parts": 2.0, "image": 5.0}


def cost_of(configuration: Configuration) -> float:
    return sum(PRICE[brick] for brick in configuration)


def image_matters_late(policy: Policy) -> float:
    """Leaving out `image` hurts at little noise, everything else at any."""
    table = tabulate(policy, IDS, LEVELS)
    return sum(
        (0.01 if level.sigma > 1 else 1.0) * ("image" not in row) + 0.5 * (2 - sum(b in row for b in IDS[:2]))
        for level, row in zip(LEVELS, table.configurations, strict=True)
    )


def test_bands_are_measured_one_by_one():
    seen: list[int] = []
    measured = measure(PROBLEM, image_matters_late, seen.append)
    assert seen == list(range(1, 6 * 6 + 1))
    alone = PROBLEM.configurations.index(("windows", "parts"))
    column = [row[alone] for row in measured.errors]
    assert column[0] == pytest.approx(0.02)
    assert column[-1] == pytest.approx(2.0)
    assert all(row[0] == 0 for row in measured.errors)


def test_it_finds_what_the_built_in_rule_gets_wrong():
    measured = measure(PROBLEM, image_matters_late, lambda done: None)
    found = find(measured, cost_of, image_matters_late, budget=0.72, switches=2, name="found")
    assert found is not None
    assert set(found.best.predicates) == {"image"}
    table = found.best.table
    assert all(level.sigma > 1 for level, row in zip(LEVELS, table.configurations, strict=True) if "image" not in row)
    assert found.best.cost <= 0.72
    assert found.best.error == pytest.approx(found.best.predicted or 0)
    assert found.beats_halfway
    assert found.is_worth_keeping
    assert found.halfway is not None
    assert found.halfway.cost <= 0.72
    assert found.halfway.error > 1
    assert [point.cost for point in found.front] == sorted(point.cost for point in found.front)
    assert found.best in found.front


def test_a_rule_that_is_best_already_is_not_beaten():
    def image_matters_early(policy: Policy) -> float:
        table = tabulate(policy, IDS, LEVELS)
        # halfway is nearly free, everything else ruins the picture
        late = all("image" in row for row in table.configurations[:5])
        others = all(set(IDS[:2]) <= set(row) for row in table.configurations)
        skipped = sum("image" not in row for row in table.configurations)
        return 0.001 * skipped if late and others and skipped > 2 else 9.0 * bool(table.distinct() != (IDS,))

    measured = measure(PROBLEM, image_matters_early, lambda done: None)
    found = find(measured, cost_of, lambda policy: 0.5, budget=0.75, switches=2, name="found")
    assert found is not None
    assert not found.beats_halfway


def test_a_budget_below_every_configuration_finds_nothing():
    measured = measure(PROBLEM, image_matters_late, lambda done: None)
    assert find(measured, cost_of, image_matters_late, budget=0.1, switches=2, name="found") is None


def test_the_whole_budget_leaves_nothing_out():
    measured = measure(PROBLEM, image_matters_late, lambda done: None)
    found = find(measured, cost_of, image_matters_late, budget=1.0, switches=2, name="found")
    assert found is not None
    assert found.best.predicates == {}
    assert not found.is_worth_keeping
