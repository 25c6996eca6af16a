"""Timed rounds: everything that is compared takes its turn in every round, since a machine drifts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Protocol

MAX_CALLS = 200
"""Calls of one sample at most."""


@dataclass(frozen=True)
class Subject:
    """Something that can be timed.

    Attributes:
        name: what it is called; one of its kind in a measurement.
        run: one call.
    """

    name: str
    run: Callable[[], object]


class Clock(Protocol):
    """How long a number of calls takes, on whatever device they run."""

    def seconds(self, run: Callable[[], object], calls: int) -> float:
        """Seconds of one call, the mean of `calls` in a row."""
        ...


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and its quartiles, in seconds."""

    low: float
    median: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    """Median and quartiles (inclusive) of one sample or more."""
    if len(samples) == 1:
        return Spread(samples[0], samples[0], samples[0])
    low, middle, high = quantiles(samples, n=4, method="inclusive")
    return Spread(low, middle, high)


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Median of the ratios round by round: what a machine's drift does to both, it does to neither."""
    return median(a / b for a, b in zip(over, under, strict=True))


def calls_for(seconds: float, least_s: float) -> int:
    """Calls of a sample that lasts `least_s` at least, where one call takes `seconds`."""
    return max(1, min(MAX_CALLS, round(least_s / max(seconds, 1e-9) + 0.5)))


def interleaved(
    subjects: Sequence[Subject],
    calls: Mapping[str, int],
    *,
    repeats: int,
    clock: Clock,
    on_round: Callable[[int], None] | None = None,
) -> dict[str, tuple[float, ...]]:
    """Time every subject once a round.

    The order turns by one with each round, so that none always follows the same neighbour.

    Args:
        subjects: what is timed, each warm already.
        calls: calls of one sample, by name.
        repeats: rounds, 1 or more.
        clock: of their device.
        on_round: called after each round with its number, from 1.

    Returns:
        seconds a call: name -> one sample a round.
    """
    samples: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    assert len(samples) == len(subjects), "two subjects share a name"
    for i in range(repeats):
        turn = i % len(subjects) if subjects else 0
        for subject in (*subjects[turn:], *subjects[:turn]):
            samples[subject.name].append(clock.seconds(subject.run, calls[subject.name]))
        if on_round is not None:
            on_round(i + 1)
    return {name: tuple(found) for name, found in samples.items()}
