"""The best schedules under a model that adds up: dynamic programming over bands, configurations and switches.

Every band of the schedule takes one of several options, each with an error and a cost. Both add up over the bands, and
the option may change a given number of times. What is found is the whole Pareto front, exactly: partial schedules that
end in the same option after as many changes are kept unless another has neither more error nor more cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TIES = 1e-9
"""Costs that differ by less than this share of a budget are the same: sums of floats are no more exact."""


@dataclass(frozen=True, slots=True)
class Option:
    """What one configuration does in one band.

    Attributes:
        error: what it adds to the error; 0 or more.
        cost: what it takes; 0 or more.
    """

    error: float
    cost: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """One option a band.

    Attributes:
        picks: index of the option, band by band.
        error: errors added up.
        cost: costs added up.
        switches: bands whose option is not that of the band before.
    """

    picks: tuple[int, ...]
    error: float
    cost: float
    switches: int


def pareto_front(bands: Sequence[Sequence[Option]], switches: int) -> tuple[Schedule, ...]:
    """Every schedule that no other one beats in error and cost, cheapest first.

    Args:
        bands: the options of every band, as many in each; one band and one option or more.
        switches: how often the option may change, 0 or more.
    """
    states: dict[tuple[int, int], list[Schedule]] = {
        (pick, 0): [Schedule((pick,), option.error, option.cost, 0)] for pick, option in enumerate(bands[0])
    }
    for options in bands[1:]:
        reached: dict[tuple[int, int], list[Schedule]] = {}
        for (last, used), found in states.items():
            for pick, option in enumerate(options):
                changed = used + (pick != last)
                if changed <= switches:
                    reached.setdefault((pick, changed), []).extend(_longer(found, pick, option, changed))
        states = {state: _undominated(found) for state, found in reached.items()}
    return tuple(_undominated(schedule for found in states.values() for schedule in found))


def best_under(front: Sequence[Schedule], budget: float) -> Schedule | None:
    """The schedule of a front with the least error that costs no more than a budget; None where all cost more."""
    affordable = [schedule for schedule in front if schedule.cost <= budget * (1 + TIES)]
    return min(affordable, key=lambda schedule: (schedule.error, schedule.cost), default=None)


def _longer(schedules: Iterable[Schedule], pick: int, option: Option, switches: int) -> Iterable[Schedule]:
    for schedule in schedules:
        picks = (*schedule.picks, pick)
        yield Schedule(picks, schedule.error + option.error, schedule.cost + option.cost, switches)


def _undominated(schedules: Iterable[Schedule]) -> list[Schedule]:
    """Those that no other one beats, cheapest first; of equals the one with fewer switches."""
    kept: list[Schedule] = []
    for schedule in sorted(schedules, key=lambda found: (found.cost, found.error, found.switches)):
        if not kept or schedule.error < kept[-1].error:
            kept.append(schedule)
    return kept
