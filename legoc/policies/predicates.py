"""Schedules as policies: bands of noise levels, and predicates over sigma that hold at another number of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from legoc.spec.predicate import parse
from legoc_runtime.contract.policy import Configuration, Policy, TruthTable, tabulate
from legoc_runtime.contract.predicate import Compare, Name, Number
from legoc_runtime.contract.schedule import Level

MOST_SUBSETS = 4
"""Stacks of up to so many bricks are searched over every configuration."""

MOST_LEFT_OUT = 2
"""In larger stacks a configuration leaves out up to so many bricks."""


@dataclass(frozen=True, slots=True)
class Band:
    """Consecutive noise levels: `start` to `stop - 1`."""

    start: int
    stop: int


def split_levels(levels: int, bands: int) -> tuple[Band, ...]:
    """A schedule in so many bands of equal length, as far as that goes; at most one a level."""
    bands = min(bands, levels)
    cuts = [i * levels // bands for i in range(bands + 1)]
    return tuple(Band(start, stop) for start, stop in pairwise(cuts))


def candidates(ids: Sequence[str]) -> tuple[Configuration, ...]:
    """The configurations that a search looks at, the whole stack first."""
    least = 1 if len(ids) <= MOST_SUBSETS else len(ids) - MOST_LEFT_OUT
    return tuple(tuple(found) for size in range(len(ids), least - 1, -1) for found in combinations(ids, size))


def band_policy(ids: Sequence[str], configuration: Configuration, band: Band) -> Policy:
    """The policy that runs a configuration in one band and everything elsewhere."""
    inside = Compare(Number(float(band.start)), (("<=", Name("step")), ("<", Number(float(band.stop)))))
    return Policy("band", tuple((brick, inside) for brick in ids if brick not in configuration))


def sigma_predicates(rows: Sequence[Configuration], ids: Sequence[str], levels: Sequence[Level]) -> dict[str, str]:
    """Where each brick is left out, in words of sigma; bricks that always run are absent.

    Args:
        rows: what runs, level by level.
        ids: all bricks.
        levels: the schedule, sigma falling; a bound lies between two of its levels.
    """
    texts = {brick: _predicate([brick not in row for row in rows], levels) for brick in ids}
    return {brick: text for brick, text in texts.items() if text is not None}


def policy_of(name: str, predicates: Mapping[str, str]) -> Policy:
    """A policy of predicates as they are written.

    Raises:
        ValueError: a predicate does not parse.
    """
    parsed = {brick: parse(text)[0] for brick, text in predicates.items()}
    if broken := [brick for brick, tree in parsed.items() if tree is None]:
        raise ValueError(f"the predicate of `{broken[0]}` does not parse: {predicates[broken[0]]}")
    return Policy(name, tuple((brick, tree) for brick, tree in parsed.items() if tree is not None))


def written_policy(
    name: str, rows: Sequence[Configuration], ids: Sequence[str], levels: Sequence[Level]
) -> tuple[dict[str, str], Policy, TruthTable]:
    """A schedule's predicates, the policy that they are, and its truth table: row by row the schedule itself."""
    predicates = sigma_predicates(rows, ids, levels)
    policy = policy_of(name, predicates)
    table = tabulate(policy, ids, levels)
    assert table.configurations == tuple(rows), "the predicates must say what the schedule does"
    return predicates, policy, table


def _predicate(out: Sequence[bool], levels: Sequence[Level]) -> str | None:
    edges = [i for i in range(len(out) + 1) if (i > 0 and out[i - 1]) != (i < len(out) and out[i])]
    parts = [_between(start, stop, levels) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
    return " or ".join(parts) if parts else None


def _between(start: int, stop: int, levels: Sequence[Level]) -> str:
    """Levels `start` to `stop - 1`."""
    high = None if start == 0 else _bound(levels[start - 1].sigma, levels[start].sigma)
    low = None if stop == len(levels) else _bound(levels[stop - 1].sigma, levels[stop].sigma)
    if high is None:
        return "sigma > 0" if low is None else f"sigma > {low}"
    return f"sigma < {high}" if low is None else f"{low} < sigma < {high}"


def _bound(above: float, below: float) -> str:
    """A short number between two noise levels, near the middle of their logarithms."""
    middle = math.sqrt(above * below)
    for digits in range(2, 17):
        text = f"{float(f'{middle:.{digits}g}'):f}".rstrip("0").rstrip(".") if digits < 7 else repr(middle)
        if below < float(text) < above:
            return text
    return repr(middle)
