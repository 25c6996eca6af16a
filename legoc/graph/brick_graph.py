"""BrickGraph: a frozen wrapper over a networkx graph. Passes read one and build another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import networkx as nx

from legoc.graph.nodes import GraphType, Node
from legoc_runtime.contract.stack import StackShape


@dataclass(frozen=True)
class Entry:
    """A node with its edges.

    Attributes:
        name: unique and stable, e.g. `brick.top`.
        node: what it is.
        inputs: slot -> name of the node whose value it reads, in slot order.
        type: the type of its value; None until shapes are inferred.
    """

    name: str
    node: Node
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    type: GraphType | None = None

    def reading(self, **inputs: str) -> Entry:
        """The same node with some inputs replaced or added."""
        return replace(self, inputs={**self.inputs, **inputs})


_networkx: Any = nx  # ships no types of its own; the tests of BrickGraph check what stands behind it


class BrickGraph:
    """The stack as a graph of whole bricks.

    Attributes:
        shape: the architecture that the nodes refer to.
        name: what the graph is for: a configuration's name, or `training`.
    """

    def __init__(self, shape: StackShape, name: str, entries: Mapping[str, Entry]) -> None:
        self.shape = shape
        self.name = name
        self._entries = dict(entries)
        graph: Any = _networkx.DiGraph()
        graph.add_nodes_from(self._entries)
        for entry in self._entries.values():
            graph.add_edges_from((source, entry.name) for source in entry.inputs.values())
        self._graph = graph

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BrickGraph)
            and (self.shape, self.name) == (other.shape, other.name)
            and self._entries == other._entries
        )

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Every entry by name, in the order they were added."""
        return self._entries

    def in_order(self) -> Iterator[Entry]:
        """Entries in an order in which every input comes before its reader; the same for the same graph.

        Raises:
            ValueError: the graph has a cycle.
        """
        position = {name: i for i, name in enumerate(self._entries)}
        try:
            order = cast("list[str]", list(nx.lexicographical_topological_sort(self._graph, key=position.get)))
        except nx.NetworkXUnfeasible as error:
            raise ValueError("the graph has a cycle") from error
        return (self._entries[name] for name in order)

    def readers(self, name: str) -> tuple[Entry, ...]:
        """The entries that read a value."""
        return tuple(entry for entry in self._entries.values() if name in entry.inputs.values())

    def reaching(self, names: set[str]) -> set[str]:
        """`names` and everything that they read, directly or not."""
        return names.union(*(cast("set[str]", _networkx.ancestors(self._graph, name)) for name in names))

    def with_entries(self, entries: Mapping[str, Entry], *, name: str | None = None) -> BrickGraph:
        """A graph over the same stack with other entries."""
        return BrickGraph(self.shape, name or self.name, entries)
