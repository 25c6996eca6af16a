"""Remove what no output needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from legoc.graph.brick_graph import BrickGraph
from legoc.graph.nodes import Output


@dataclass(frozen=True)
class EliminateDead:
    """Keep the outputs and everything that they read, directly or not."""

    name: ClassVar[str] = "eliminate-dead"

    def apply(self, graph: BrickGraph) -> BrickGraph:
        """The live part of the graph, in the same order."""
        outputs = {name for name, entry in graph.entries.items() if isinstance(entry.node, Output)}
        live = graph.reaching(outputs)
        return graph.with_entries({name: entry for name, entry in graph.entries.items() if name in live})
