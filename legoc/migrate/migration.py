"""What a migration did, as data and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from legoc.migrate.outcome import BOUND, IMAGES, Outcome
from legoc.migrate.plan import Plan
from legoc.review.render.as_json import verdict_data
from legoc.review.render.words import described, headline, symbol
from legoc_runtime.checkpoint.layout import OPTIMIZER, is_optimizer
from legoc_runtime.contract.policy import Configuration, configuration_name

MIGRATE_VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True)
class Migration:
    """A migration that was tried.

    Attributes:
        plan: what was asked.
        outcomes: what both stacks compute.
        notes: what people should know, a sentence each.
        out: what was written; None where nothing was.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    notes: tuple[str, ...] = ()
    out: Path | None = None

    @property
    def holds(self) -> bool:
        """Whether every estimate that must be the same is."""
        return all(outcome.holds for outcome in self.outcomes)


def to_json(migration: Migration) -> dict[str, Any]:
    """JSON-ready data, with its version. `possible` is false where tensors are lost; those are in `lost`."""
    plan, source = migration.plan, migration.plan.source
    return {
        "migrate_version": MIGRATE_VERSION,
        "possible": plan.is_possible,
        "equal_where_it_must_be": migration.holds if plan.is_possible else None,
        "source": {"path": str(source.path), **origin(plan)},
        "spec": {"path": plan.after.path, "name": plan.after.spec.name},
        "out": None if migration.out is None else str(migration.out),
        "impact": plan.impact,
        "loading": plan.tensors.loading,
        "changes": [verdict_data(verdict) for verdict in (plan.review.verdicts if plan.review else ())],
        "renamed": plan.renamed,
        "tensors": plan.counts,
        "lost": [asdict(move) for move in plan.tensors.lost],
        "bound": BOUND,
        "outcomes": [_outcome_data(outcome) for outcome in migration.outcomes],
        "notes": list(migration.notes),
    }


def origin(plan: Plan) -> dict[str, Any]:
    """What a migrated file says about where it is from: contents, not places."""
    source = plan.source
    return {"spec_hash": source.spec_hash, "images": source.images, "files": dict(source.digests)}


def report_lines(migration: Migration) -> Iterator[str]:
    """The report for people, a line at a time."""
    plan = migration.plan
    yield f"{plan.source.path} -> {plan.after.label}"
    if plan.review is None:
        yield "nothing changed: every tensor is kept"
    else:
        yield headline(plan.review)
        for verdict in plan.review.verdicts:
            yield f"  {symbol(verdict.change)} {verdict.impact:<9}  {described(verdict.change)}"
    counts = ", ".join(f"{count:,} {how}" for how, count in plan.counts.items())
    # rows of several processes are one optimizer's state afterwards
    files = [kind for kind in plan.source.files if kind == OPTIMIZER or not is_optimizer(kind)]
    yield f"tensors: {counts}; in {', '.join(files)}"
    yield ""
    yield f"both stacks on {IMAGES} fixed images, in float64:"
    names = {outcome.expected.after: configuration_name(outcome.expected.after) for outcome in migration.outcomes}
    width = max(map(len, names.values()), default=0)
    for configuration, name in names.items():
        yield f"  {name:<{width}}  {verdict_of(migration.outcomes, configuration)}"
    if migration.notes:
        yield ""
    yield from migration.notes


def verdict_of(outcomes: Sequence[Outcome], configuration: Configuration) -> str:
    """What was found of a configuration, in words: the worst of all files of weights."""
    ours = [outcome for outcome in outcomes if outcome.expected.after == configuration]
    broken = [outcome for outcome in ours if not outcome.holds]
    worst = max(broken or ours, key=lambda outcome: outcome.difference or 0.0)
    where = f" ({worst.kind})" if broken else ""
    if not worst.is_finite:
        return f"NOT A NUMBER somewhere{where}"
    expected = worst.expected
    if expected.why_not is not None:
        measured = "" if worst.difference is None else f"differs by {worst.difference:.2g}; "
        same = all(outcome.is_equal for outcome in ours) and worst.is_equal
        return f"{'equal all the same; ' if same else measured}{expected.why_not}"
    if all(outcome.is_equal for outcome in ours):
        return "equal bit by bit"
    if broken:
        return f"NOT EQUAL: differs by {worst.difference:.2g}, more than {BOUND:g}{where}"
    return f"equal within {worst.difference:.1e} of the largest value, which is rounding (bound {BOUND:g})"


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    expected = outcome.expected
    return {
        "configuration": list(expected.after),
        "was": None if expected.before is None else list(expected.before),
        "weights": outcome.kind,
        "must_be_equal": expected.must_be_equal,
        "why_not": expected.why_not,
        "equal_bit_by_bit": outcome.is_equal,
        "difference": outcome.difference,
        "finite": outcome.is_finite,
        "holds": outcome.holds,
    }
