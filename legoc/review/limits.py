"""What a comparison may cost: `params<=800M,sample<=+10%`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast, get_args

from legoc.review.classify import rank
from legoc.review.compare import Report
from legoc.review.costs import Costs, Metric
from legoc.review.rules import Impact
from legoc_runtime.errors import UsageError

METRICS: tuple[Metric, ...] = get_args(Metric)

_LIMIT = re.compile(r"\s*(?P<metric>[a-z]+)\s*<=\s*(?P<plus>\+?)(?P<number>\d+(\.\d+)?)(?P<unit>[kMGBTP%]?)\s*")
_SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15}


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a figure may be.

    Attributes:
        text: the limit as it was written.
        metric: which figure.
        most: the most that it may be, or the most by which it may grow, 0.1 for 10%.
        relative: whether it is growth.
    """

    text: str
    metric: Metric
    most: float
    relative: bool


def read_budget(text: str) -> tuple[Limit, ...]:
    """The limits of a `--budget`.

    Raises:
        UsageError: one of them cannot be read.
    """
    return tuple(_limit(part) for part in text.split(","))


def broken_limits(report: Report, budget: tuple[Limit, ...]) -> list[str]:
    """A sentence for every limit that a spec which changed or is new does not keep."""
    found: list[str] = []
    priced = [(review.after.label, review.costs) for review in report.reviews]
    for label, costs in [*priced, *((side.label, costs) for side, costs in report.added_costs)]:
        found += [sentence for limit in budget if (sentence := _broken(label, costs, limit))]
    return found


def refusals(report: Report, fail_on: Impact | None, budget: tuple[Limit, ...]) -> list[str]:
    """A sentence for everything that a comparison was to refuse and found.

    Args:
        report: what was found.
        fail_on: the class from which on a change is refused; None refuses none.
        budget: limits that specs must keep.
    """
    found = broken_limits(report, budget)
    if fail_on is not None and report.impact is not None and rank(report.impact) >= rank(fail_on):
        found.append(f"a change is of class {report.impact}, and --fail-on {fail_on} was asked for")
    return found


def _limit(text: str) -> Limit:
    match = _LIMIT.fullmatch(text)
    relative = match is not None and match["unit"] == "%"
    if match is None or match["metric"] not in METRICS or relative != bool(match["plus"]):
        raise UsageError(
            f"--budget: `{text.strip()}` is no limit",
            help=f"write `params<=800M` or `sample<=+10%`; the figures are {', '.join(METRICS)}",
        )
    number = float(match["number"])
    most = number / 100 if relative else number * _SCALES[match["unit"]]
    return Limit(text.strip(), cast("Metric", match["metric"]), most, relative)


def _broken(label: str, costs: Costs, limit: Limit) -> str | None:
    if costs.refusal is not None:
        return f"{label}: `{limit.text}` cannot be told: {costs.refusal}"
    row = next((row for row in costs.rows if row.metric == limit.metric and row.after is not None), None)
    if row is None or row.after is None:
        return f"{label}: `{limit.text}` cannot be told"
    if not limit.relative:
        return f"{label}: `{limit.text}` is broken: {row.after:,.0f}" if row.after > limit.most else None
    # a new spec has nothing to grow from
    if row.change is None or row.change <= limit.most:
        return None
    return f"{label}: `{limit.text}` is broken: {row.change:+.1%}"
