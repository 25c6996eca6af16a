"""The one way in which a pass runs: timed, its result verified, its failure told in words.

Passes over brick graphs, the lowering, and passes over programs all go through `run_step`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

from legoc.diagnostics import Diagnostic, Label, SpecError
from legoc.graph.brick_graph import BrickGraph
from legoc.graph.verify import Violation
from legoc.source import Span
from legoc_runtime.contract.program import Program

Before = TypeVar("Before", bound=BrickGraph | Program)
After = TypeVar("After", bound=BrickGraph | Program)


@dataclass(frozen=True)
class PassRun:
    """A pass that ran.

    Attributes:
        name: of the pass, or `lower`.
        target: name of the program in the making: a configuration's, or `training`.
        before: what it was given.
        after: what it gave.
        seconds: time that it took, without verification.
    """

    name: str
    target: str
    before: BrickGraph | Program
    after: BrickGraph | Program
    seconds: float


Observer = Callable[[PassRun], None]
"""Called after every pass."""


@dataclass
class Journal:
    """What ran so far on the way to one program, and who is told of it.

    Attributes:
        target: name of the program in the making.
        observe: told of every pass after it ran.
        done: names of those that ran.
    """

    target: str
    observe: Observer | None = None
    done: list[str] = field(default_factory=list[str])


def run_step(
    name: str,
    before: Before,
    apply: Callable[[Before], After],
    *,
    verify: Callable[[After], None],
    blame: Callable[[Exception], Sequence[Violation]],
    journal: Journal,
    way_out: str | None = None,
) -> After:
    """Run one pass and verify what it gives.

    Args:
        name: of the pass.
        before: a valid graph or program; it stays as it is.
        apply: the pass.
        verify: raises when its argument breaks an invariant.
        blame: what an exception of `apply` or `verify` says, and the user's lines that belong to it.
        journal: what ran before; `name` joins it.
        way_out: what the user can do about a failure beside reporting it.

    Raises:
        SpecError: the pass failed; the diagnostic names it, those that ran before it, and the user's line.
    """
    started = perf_counter()
    try:
        after = apply(before)
        seconds = perf_counter() - started
        verify(after)
    except Exception as error:
        raise failure(f"pass `{name}`", blame(error), journal, way_out) from error
    journal.done.append(name)
    if journal.observe is not None:
        journal.observe(PassRun(name, journal.target, before, after, seconds))
    return after


def failure(culprit: str, violations: Sequence[Violation], journal: Journal, way_out: str | None = None) -> SpecError:
    """What the user is told when a pass failed: a diagnostic a violation."""
    before = f"after {', '.join(f'`{name}`' for name in journal.done)}" if journal.done else "first"
    help = f"a fault of legoc, not of the spec: {culprit} ran {before}; please report it with this file"
    if way_out is not None:
        help += f"; {way_out}"
    return SpecError(
        [
            Diagnostic(
                code="LG401",
                severity="error",
                message=f"{culprit} failed on `{journal.target}`"
                f"{f', at `%{violation.node}`' if violation.node else ''}: {violation.message}",
                primary=None if violation.span is None else Label(violation.span, violation.message),
                help=help,
            )
            for violation in violations
        ]
    )


def unexpected(error: Exception, spans: Sequence[Span | None]) -> Violation:
    """An exception that no pass should raise, pinned to the first line of the stack that has one."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Violation("no exception", "", text, next((span for span in spans if span is not None), None))
