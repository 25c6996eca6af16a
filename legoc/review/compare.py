"""Sides to a report: which specs changed, what each change does, and how bad it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from legoc.review.changes import NO_RENAMES, TextChanged, compare_specs
from legoc.review.classify import IMPACTS, Case, Verdict, classify, rank
from legoc.review.costs import Costs, compare_costs
from legoc.review.rules import Impact
from legoc.review.sides import Side, Unreadable
from legoc.review.tensors import Loading, TensorPlan, plan_tensors


@dataclass(frozen=True)
class Pair:
    """One spec before and after."""

    before: Side | Unreadable
    after: Side | Unreadable


@dataclass(frozen=True)
class Added:
    """A spec that is there now and was not."""

    after: Side | Unreadable


@dataclass(frozen=True)
class Removed:
    """A spec that was there and is not any more."""

    before: Side | Unreadable


Compared: TypeAlias = Pair | Added | Removed


@dataclass(frozen=True)
class Review:
    """A spec that changed.

    Attributes:
        before: the spec that was.
        after: the spec that is.
        verdicts: every change with its class, the worst first; within a class in the order of the language.
        plan: what becomes of every tensor of a checkpoint.
        matched: id before -> id after, for every brick that is on both sides.
    """

    before: Side
    after: Side
    verdicts: tuple[Verdict, ...]
    plan: TensorPlan
    matched: Mapping[str, str]

    @cached_property
    def costs(self) -> Costs:
        """What both cost, computed when it is first asked for."""
        return compare_costs(self.before.spec, self.after.spec, self.matched)

    @cached_property
    def impact(self) -> Impact:
        """The worst class of its changes."""
        return "breaks" if self.loading == "no" else self.verdicts[0].impact

    @property
    def loading(self) -> Loading:
        """Whether a checkpoint of the spec that was loads under the one that is."""
        return self.plan.loading

    @property
    def is_moved(self) -> bool:
        """Whether the file has another name than before."""
        return self.before.revision is not None and self.before.path != self.after.path


@dataclass(frozen=True)
class Report:
    """All that a comparison found.

    Attributes:
        before: how people call the old state.
        after: how people call the new one.
        reviews: the specs that changed, in the order in which they were compared.
        added: specs that are new.
        removed: specs that are gone.
        unchanged: how many specs say the same on both sides.
        unreadable: sides that could not be compared: while there is one, nothing may be concluded.
    """

    before: str
    after: str
    reviews: tuple[Review, ...]
    added: tuple[Side, ...]
    removed: tuple[Side, ...]
    unchanged: int
    unreadable: tuple[Unreadable, ...]

    @cached_property
    def added_costs(self) -> tuple[tuple[Side, Costs], ...]:
        """What new specs cost."""
        return tuple((side, compare_costs(None, side.spec, {})) for side in self.added)

    @property
    def impact(self) -> Impact | None:
        """The worst class of all changes; None where no spec changed."""
        return IMPACTS[max(rank(review.impact) for review in self.reviews)] if self.reviews else None


def review(before: Side, after: Side, renames: Mapping[str, str] = NO_RENAMES) -> Review | None:
    """What changed between two specs; None where nothing did, not even the text.

    Args:
        before: the spec that was.
        after: the spec that is.
        renames: id before -> id after, for bricks that are said to be one brick.
    """
    found = compare_specs(before.spec, after.spec, renames)
    plan = plan_tensors(before.spec.shape, after.spec.shape, found.matched)
    case = Case(before.spec, after.spec, found.matched, plan)
    verdicts = [classify(change, case) for change in found.changes]
    if not verdicts and before.kind == after.kind == "spec" and before.text != after.text:
        verdicts = [classify(TextChanged(), case)]
    if not verdicts:
        return None
    return Review(
        before, after, tuple(sorted(verdicts, key=lambda verdict: -rank(verdict.impact))), plan, found.matched
    )


def compare(before: str, after: str, found: Iterable[Compared]) -> Report:
    """The report of a comparison.

    Args:
        before: how people call the old state.
        after: how people call the new one.
        found: the specs.
    """
    reviews: list[Review] = []
    added: list[Side] = []
    removed: list[Side] = []
    unreadable: dict[tuple[str, object], Unreadable] = {}
    unchanged = 0
    for compared in found:
        broken = list(_unreadable(compared))
        unreadable |= {(side.label, side.diagnostics): side for side in broken}
        match compared:
            case Pair(before=Side() as old, after=Side() as new):
                changed = review(old, new)
                reviews += [changed] if changed else []
                unchanged += changed is None
            case Added(after=Side() as new):
                added.append(new)
            case Removed(before=Side() as old):
                removed.append(old)
            case _:
                assert broken, "a side is readable or not"
    return Report(before, after, tuple(reviews), tuple(added), tuple(removed), unchanged, tuple(unreadable.values()))


def _unreadable(compared: Compared) -> Iterator[Unreadable]:
    match compared:
        case Pair(before=before, after=after):
            found = (before, after)
        case Added(after=side) | Removed(before=side):
            found = (side,)
    yield from (side for side in found if isinstance(side, Unreadable))
