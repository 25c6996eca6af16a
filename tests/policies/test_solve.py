"""The solver against every schedule there is."""

from __future__ import annotations

import random
from itertools import pairwise, product

import pytest

from legoc.policies.solve import Option, best_under, pareto_front


def every_schedule(bands: list[list[Option]], switches: int) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for picks in product(range(len(bands[0])), repeat=len(bands)):
        if sum(a != b for a, b in pairwise(picks)) <= switches:
            chosen = [options[pick] for options, pick in zip(bands, picks, strict=True)]
            found.append((sum(option.cost for option in chosen), sum(option.error for option in chosen)))
    return found


@pytest.mark.parametrize("switches", [0, 1, 2, 5])
@pytest.mark.parametrize("seed", range(6))
def test_the_front_is_that_of_every_schedule(seed: int, switches: int):
    draw = random.Random(seed)
    # whole numbers, so that ties are met and sums are exact
    bands = [[Option(draw.randint(0, 9), draw.randint(1, 9)) for _ in range(4)] for _ in range(5)]
    points = every_schedule(bands, switches)
    expected = {p for p in points if not any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)}
    front = pareto_front(bands, switches)
    assert {(found.cost, found.error) for found in front} == expected
    assert len(front) == len(expected)
    for found in front:
        assert found.switches == sum(a != b for a, b in pairwise(found.picks)) <= switches
        assert found.error == sum(options[pick].error for options, pick in zip(bands, found.picks, strict=True))
    for budget in (5, 15, 25):
        best = best_under(front, budget)
        affordable = [error for cost, error in points if cost <= budget]
        assert (best.error if best else None) == min(affordable, default=None)


def test_nothing_is_so_cheap():
    front = pareto_front([[Option(0, 2)], [Option(0, 2)]], 0)
    assert best_under(front, 3.9) is None
    assert best_under(front, 4) is not None
