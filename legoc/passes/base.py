"""What a pass is, and the one pipeline that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import ClassVar, Protocol

from legoc.diagnostics import Diagnostic, Label, SpecError
from legoc.graph.brick_graph import BrickGraph
from legoc.graph.verify import GraphError, verify


class GraphPass(Protocol):
    """A frozen dataclass whose fields are its options. Graphs are valid before and after; the input stays as it is."""

    name: ClassVar[str]

    def apply(self, graph: BrickGraph) -> BrickGraph:
        """The transformed graph.

        Raises:
            GraphError: the graph cannot be transformed, with the node and the user's line.
        """
        ...


Observer = Callable[[GraphPass, BrickGraph, BrickGraph, float], None]
"""Called after every pass with the pass, the graph before, the graph after, and the seconds it took."""


def run_passes(graph: BrickGraph, passes: Sequence[GraphPass], observe: Observer | None = None) -> BrickGraph:
    """Run passes in order, verifying in between.

    Raises:
        SpecError: a pass failed; the diagnostic names the pass, those that ran before it, and the user's line.
    """
    done: list[str] = []
    _verified(graph, "the graph builder", done)
    for step in passes:
        started = perf_counter()
        try:
            after = step.apply(graph)
        except GraphError as error:
            raise _failure(error, f"pass `{step.name}`", done) from error
        _verified(after, f"pass `{step.name}`", done)
        if observe is not None:
            observe(step, graph, after, perf_counter() - started)
        graph = after
        done.append(step.name)
    return graph


def _verified(graph: BrickGraph, culprit: str, done: Sequence[str]) -> None:
    try:
        verify(graph)
    except GraphError as error:
        raise _failure(error, culprit, done) from error


def _failure(error: GraphError, culprit: str, done: Sequence[str]) -> SpecError:
    before = f"after {', '.join(f'`{name}`' for name in done)}" if done else "first"
    return SpecError(
        [
            Diagnostic(
                code="LG401",
                severity="error",
                message=f"{culprit} failed on graph `%{violation.node}`: {violation.message}",
                primary=None if violation.span is None else Label(violation.span, violation.message),
                help=f"a fault of legoc, not of the spec: {culprit} ran {before}; please report it with this file",
            )
            for violation in error.violations
        ]
    )
