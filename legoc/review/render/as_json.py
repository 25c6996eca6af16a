"""The format json: a versioned shape for programs, which `schema/legoc-diff-v1.json` describes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from legoc.render.as_json import as_data, range_of
from legoc.review.changes import name_of, values_of
from legoc.review.classify import Verdict
from legoc.review.compare import Report, Review
from legoc.review.costs import Costs
from legoc.review.render.words import summary, symbol
from legoc.review.sides import Side
from legoc.review.values import Value

DIFF_VERSION = 1


def render_json(report: Report) -> str:
    """The report as one JSON object. While `unreadable` has entries, nothing may be concluded from the rest."""
    body = {
        "diff_version": DIFF_VERSION,
        "before": report.before,
        "after": report.after,
        "summary": summary(report),
        "impact": report.impact,
        "unchanged": report.unchanged,
        "specs": [_review(review) for review in report.reviews],
        "added": [{**_side(side), "costs": _costs(costs)} for side, costs in report.added_costs],
        "removed": [_side(side) for side in report.removed],
        "unreadable": [
            {"label": side.label, "diagnostics": [as_data(diagnostic) for diagnostic in side.diagnostics]}
            for side in report.unreadable
        ],
    }
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _review(review: Review) -> dict[str, Any]:
    counts = Counter(move.how for move in review.plan.moves)
    return {
        "before": _side(review.before),
        "after": _side(review.after),
        "impact": review.impact,
        "loading": review.loading,
        "changes": [verdict_data(verdict) for verdict in review.verdicts],
        "tensors": dict(sorted(counts.items())),
        "costs": _costs(review.costs),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "label": side.label,
        "kind": side.kind,
        "path": side.path,
        "revision": side.revision,
        "name": side.spec.name,
    }


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """A change, as `changes` lists it."""
    before, after = values_of(verdict.change)
    return {
        "kind": type(verdict.change).__name__,
        "symbol": symbol(verdict.change),
        "name": name_of(verdict.change),
        "impact": verdict.impact,
        "reason": verdict.reason,
        "before": _value(before),
        "after": _value(after),
        "tensors": [asdict(move) for move in verdict.tensors],
    }


def _value(value: Value | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"text": value.text, "place": None if value.span is None else range_of(value.span)}


def _costs(costs: Costs) -> dict[str, Any]:
    return {
        "refusal": costs.refusal,
        "figures": [asdict(row) for row in costs.rows],
        "policies": [{**asdict(shift), "sentence": str(shift)} for shift in costs.shifts],
    }
