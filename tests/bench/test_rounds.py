"""Rounds: everything takes its turn, and a machine that drifts drifts for all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from legoc.bench.rounds import MAX_CALLS, Subject, calls_for, interleaved, ratio, spread


class DriftingClock:
    """A machine that gets slower with every sample."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.slowness = 1.0

    def seconds(self, run: Callable[[], object], calls: int) -> float:
        name, cost = run()  # type: ignore[misc]
        self.seen.append((name, calls))
        self.slowness *= 1.02
        return cost * self.slowness


def subjects() -> list[Subject]:
    costs = {"a": 1.0, "b": 2.0, "c": 4.0}
    return [Subject(name, lambda name=name, cost=cost: (name, cost)) for name, cost in costs.items()]


def test_the_order_turns_by_one_each_round() -> None:
    clock, rounds = DriftingClock(), []
    samples = interleaved(subjects(), {"a": 3, "b": 2, "c": 1}, repeats=4, clock=clock, on_round=rounds.append)
    assert "".join(name for name, _ in clock.seen) == "abc" + "bca" + "cab" + "abc"
    assert dict(clock.seen) == {"a": 3, "b": 2, "c": 1}
    assert {name: len(found) for name, found in samples.items()} == {"a": 4, "b": 4, "c": 4}
    assert rounds == [1, 2, 3, 4]


def test_ratios_do_not_drift_with_the_machine() -> None:
    samples = interleaved(subjects(), {"a": 1, "b": 1, "c": 1}, repeats=9, clock=DriftingClock())
    assert samples["a"][-1] > 1.5 * samples["a"][0]
    assert ratio(samples["c"], samples["a"]) == pytest.approx(4, rel=0.05)


def test_two_subjects_never_share_a_name() -> None:
    with pytest.raises(AssertionError, match="share a name"):
        interleaved([*subjects(), subjects()[0]], {"a": 1, "b": 1, "c": 1}, repeats=1, clock=DriftingClock())


def test_a_short_call_is_timed_several_times_in_a_row() -> None:
    assert calls_for(0.5, 0.02) == 1
    assert calls_for(0.001, 0.02) == 20
    assert calls_for(0.0, 0.02) == MAX_CALLS


def test_quartiles_include_what_was_seen() -> None:
    assert (spread([3.0]).low, spread([3.0]).median, spread([3.0]).high) == (3, 3, 3)
    found = spread([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (found.low, found.median, found.high) == (2, 3, 4)
