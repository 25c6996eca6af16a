"""Skip policies and their truth tables: at which noise level which bricks run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from legoc_runtime.contract.predicate import Arithmetic, Compare, CompareOp, Expr, Name, Number
from legoc_runtime.contract.predicate_columns import Columns
from legoc_runtime.contract.schedule import Level
from legoc_runtime.contract.stack import BrickShape, PretrainedShape
from legoc_runtime.errors import UsageError

Configuration = tuple[str, ...]
"""The ids of the bricks that run, bottom to top."""


def configuration_name(configuration: Configuration) -> str:
    """The name of a configuration in file names, manifests and traces: its bricks joined by `+`."""
    return "+".join(configuration)


@dataclass(frozen=True, slots=True)
class Policy:
    """At which noise levels which bricks are left out.

    Attributes:
        name: how it is asked for.
        skips: brick id -> predicate; a brick that is not named always runs.
    """

    name: str
    skips: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive noise levels with one configuration: levels `start` to `stop - 1`."""

    start: int
    stop: int
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Break:
    """A brick starts or stops running between two noise levels.

    Attributes:
        brick: its id.
        step: first level with the new state, counted from the start of the schedule.
        sigma: noise level there.
        runs: the new state.
    """

    brick: str
    step: int
    sigma: float
    runs: bool


@dataclass(frozen=True, slots=True)
class TruthTable:
    """A policy over a concrete schedule, or over the end of one.

    Attributes:
        policy: name of the policy.
        bricks: all brick ids, bottom to top.
        levels: the noise levels.
        configurations: what runs, level by level.
    """

    policy: str
    bricks: tuple[str, ...]
    levels: tuple[Level, ...]
    configurations: tuple[Configuration, ...]

    def distinct(self) -> tuple[Configuration, ...]:
        """The configurations that are reached, in order of first use."""
        return tuple(dict.fromkeys(self.configurations))

    def runs(self) -> tuple[Run, ...]:
        """The schedule as a short list of runs."""
        runs: list[Run] = []
        for i, configuration in enumerate(self.configurations):
            if runs and runs[-1].configuration == configuration:
                runs[-1] = Run(runs[-1].start, i + 1, configuration)
            else:
                runs.append(Run(i, i + 1, configuration))
        return tuple(runs)

    def breaks(self) -> tuple[Break, ...]:
        """Where a brick starts or stops running, in schedule order."""
        found: list[Break] = []
        for i in range(1, len(self.levels)):
            before, after = self.configurations[i - 1], self.configurations[i]
            for brick in self.bricks if before != after else ():
                if (brick in before) != (brick in after):
                    found.append(Break(brick, self.levels[i].step, self.levels[i].sigma, brick in after))
        return tuple(found)

    def skipped(self, brick: str) -> int:
        """The number of levels at which `brick` is left out."""
        return sum(brick not in configuration for configuration in self.configurations)


def tabulate(policy: Policy, bricks: Sequence[str], levels: Sequence[Level]) -> TruthTable:
    """Evaluate a policy at every level of a schedule.

    Raises:
        UsageError: the policy names a brick that the stack does not have, or leaves no brick at some level.
    """
    skips = dict(policy.skips)
    if unknown := [brick for brick in skips if brick not in bricks]:
        raise UsageError(
            f"policy `{policy.name}` names a brick that this stack does not have: {', '.join(unknown)}",
            help=f"the bricks are {', '.join(bricks)}",
        )
    columns = Columns(levels)
    held = [columns.held(skips[brick]) if brick in skips else bytes(len(levels)) for brick in bricks]
    known: dict[tuple[int, ...], Configuration] = {}
    rows: list[Configuration] = []
    for i, left_out in enumerate(zip(*held, strict=True)):
        if (row := known.get(left_out)) is None:
            row = known[left_out] = tuple(brick for brick, is_out in zip(bricks, left_out, strict=True) if not is_out)
        if not row:
            level = levels[i]
            raise UsageError(
                f"policy `{policy.name}` leaves no brick at step {level.step} of {level.steps}",
                help=f"let at least one brick run at every noise level; there sigma is {level.sigma:.4g}",
            )
        rows.append(row)
    return TruthTable(policy.name, tuple(bricks), tuple(levels), tuple(rows))


BUILTIN_POLICIES = ("none", "halfway", "default")
"""Names that a spec's own policies may not take. `default` is made of the bricks' `skip:` keys."""


def builtin_policy(
    text: str, bricks: Sequence[BrickShape], *, pretrained: PretrainedShape | None = None
) -> Policy | None:
    """`none`, `halfway` or `halfway:SHARE`; None when `text` is not one of them.

    `halfway` leaves out the top brick in the half of the steps that needs it least (paper, section 3.2): an image-brick
    in the low-noise half, a patch-brick in the high-noise half; a pretrained model is an image-brick. `halfway:0.4`
    does so in 40% of the steps. A step is left out when its midpoint (i + 1/2)/N lies in the share, so that the count
    is the share of N rounded.

    Args:
        text: the policy's name.
        bricks: the bricks of the stack's own, bottom to top.
        pretrained: the stack's pretrained brick, below, between or above them.

    Raises:
        UsageError: the share is not a number in [0, 1], or the stack has one brick.
    """
    if text == "none":
        return Policy("none")
    share = halfway_share(text)
    if share is None:
        return None
    if len(bricks) + (pretrained is not None) < 2:
        raise UsageError("`halfway` needs a stack of two bricks or more", help="sample with --skip-policy none")
    if pretrained is not None and pretrained.place == len(bricks):
        top, covers_grid = pretrained.id, True
    else:
        top, covers_grid = bricks[-1].id, bricks[-1].covers_grid
    midpoint = Arithmetic("/", Arithmetic("+", Name("step"), Number(0.5)), Name("steps"))
    op: CompareOp = ">=" if covers_grid else "<"
    bound = 1 - share if covers_grid else share
    return Policy(text, ((top, Compare(midpoint, ((op, Number(bound)),))),))


def halfway_share(text: str) -> float | None:
    """The share of steps at which `halfway` or `halfway:SHARE` leaves a brick out; None for another policy's name.

    Raises:
        UsageError: the share is not a number in [0, 1].
    """
    kind, colon, share = text.partition(":")
    return None if kind != "halfway" else _share(share) if colon else 0.5


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(
            f"`halfway:{text}`: the share of steps must be a number from 0 to 1",
            help="for example `halfway:0.4` leaves the top brick out in 40% of the steps",
        )
    return share
