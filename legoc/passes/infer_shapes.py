"""Give every value its type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from legoc.graph.brick_graph import BrickGraph
from legoc.graph.verify import expected_type


@dataclass(frozen=True)
class InferShapes:
    """Annotate each node with the type that its kind and the architecture give it."""

    name: ClassVar[str] = "infer-shapes"

    def apply(self, graph: BrickGraph) -> BrickGraph:
        """The same graph with a type on every entry."""
        return graph.with_entries(
            {name: replace(entry, type=expected_type(graph, entry)) for name, entry in graph.entries.items()}
        )
