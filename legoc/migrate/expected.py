"""Which configurations must compute the same after a migration, and which cannot: read off the changes, torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from legoc.describe import describe_spec
from legoc.migrate.plan import Plan
from legoc.plan.reach import reachable
from legoc.review.changes import BricksReordered, ValueChanged
from legoc.review.classify import Verdict, rank
from legoc.review.render.words import described
from legoc_runtime.contract.policy import Configuration


@dataclass(frozen=True)
class Expected:
    """What a configuration of the new stack must compute.

    Attributes:
        after: the configuration, by the new ids.
        before: the one of the old stack that it is held against; None where its bricks are all new.
        why_not: why the two need not compute the same; None where they must.
    """

    after: Configuration
    before: Configuration | None
    why_not: str | None

    @property
    def must_be_equal(self) -> bool:
        """Whether both must give the same estimate."""
        return self.why_not is None


def expectations(plan: Plan) -> tuple[Expected, ...]:
    """Every configuration that a policy of either spec reaches over its schedule, and all known bricks.

    Raises:
        UsageError: a spec has a policy that leaves no brick.
    """
    known = {after: before for before, after in plan.matched.items()}
    ids = plan.after.spec.ids
    found = [tuple(ids), tuple(id for id in ids if id in known)]
    for configuration in reachable(describe_spec(plan.before.spec)[0]):
        renamed = {plan.matched[id] for id in configuration if id in plan.matched}
        if renamed:  # a pretrained brick that is frozen may go, and take nothing with it
            found.append(tuple(id for id in ids if id in renamed))
    wanted = dict.fromkeys([*found, *reachable(describe_spec(plan.after.spec)[0])])
    return tuple(_expected(plan, known, configuration) for configuration in wanted)


def _expected(plan: Plan, known: Mapping[str, str], configuration: Configuration) -> Expected:
    shared = {known[id] for id in configuration if id in known}
    before = tuple(id for id in plan.before.spec.ids if id in shared)
    if not before:
        return Expected(configuration, None, "its bricks are new")
    return Expected(configuration, before, _new_bricks(plan, known, configuration) or _meaning(plan, configuration))


def _new_bricks(plan: Plan, known: Mapping[str, str], configuration: Configuration) -> str | None:
    """Why new bricks change what the known ones compute; None where those read the new estimate through zeros."""
    lowest = next(i for i, id in enumerate(configuration) if id in known)
    above, given = [id for id in configuration[lowest:] if id not in known], plan.after.spec.pretrained
    if above:
        return f"{above[0]} is new and " + ("refines what was there" if above[0] in given else "begins untrained")
    if lowest == 0:
        return None
    if configuration[lowest] in given:
        return f"{configuration[lowest]} begins from the estimate of {configuration[lowest - 1]}, which is new"
    key = f"bricks.{configuration[lowest]}.embed.weight"
    if any(move.after == key and move.how == "widened" for move in plan.tensors.moves):
        return None
    return f"{configuration[lowest]} was trained without an estimate from {configuration[lowest - 1]}, which is new"


def _meaning(plan: Plan, configuration: Configuration) -> str | None:
    """The first change that gives these bricks another meaning; None where none does."""
    verdicts = plan.review.verdicts if plan.review else ()
    for verdict in verdicts:
        if rank(verdict.impact) >= rank("meaning") and _reaches(plan, verdict, configuration):
            return f"{described(verdict.change)}: {verdict.reason}"
    return None


def _reaches(plan: Plan, verdict: Verdict, configuration: Configuration) -> bool:
    match verdict.change:
        case ValueChanged(key="carry"):
            return len(configuration) > 1
        case ValueChanged(brick=(_, id)):
            return id in configuration
        case BricksReordered():
            # each alone, or in the order that it was: what became the bottom brick read no estimate here before
            back = {after: before for before, after in plan.matched.items()}
            order = [plan.before.spec.ids.index(back[id]) for id in configuration if id in back]
            return order != sorted(order)
        case _:
            return True
