"""What a pass over brick graphs is, and the pipeline that runs them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Protocol

from legoc.graph.brick_graph import BrickGraph
from legoc.graph.nodes import span_of
from legoc.graph.verify import GraphError, Violation, verify
from legoc.passes.runner import Journal, failure, run_step, unexpected


class GraphPass(Protocol):
    """A frozen dataclass whose fields are its options. Graphs are valid before and after; the input stays as it is."""

    name: ClassVar[str]

    def apply(self, graph: BrickGraph) -> BrickGraph:
        """The transformed graph.

        Raises:
            GraphError: the graph cannot be transformed, with the node and the user's line.
        """
        ...


def run_passes(graph: BrickGraph, passes: Sequence[GraphPass], journal: Journal | None = None) -> BrickGraph:
    """Run passes in order, verifying in between.

    Args:
        graph: what the graph builder made.
        passes: in order.
        journal: where the passes that ran are written down.

    Raises:
        SpecError: a pass failed; the diagnostic names the pass, those that ran before it, and the user's line.
    """
    journal = Journal(graph.name) if journal is None else journal
    try:
        verify(graph)
    except GraphError as error:
        raise failure("the graph builder", error.violations, journal) from error
    for step in passes:
        graph = run_step(
            step.name, graph, step.apply, verify=verify, blame=partial(graph_violations, graph), journal=journal
        )
    return graph


def graph_violations(graph: BrickGraph, error: Exception) -> Sequence[Violation]:
    """What an exception says about a graph."""
    if isinstance(error, GraphError):
        return error.violations
    return [unexpected(error, [span_of(entry.node) for entry in graph.entries.values()])]
