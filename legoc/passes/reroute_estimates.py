"""Connect each reader of a bypass to the nearest brick below that runs, or to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from legoc.graph.brick_graph import BrickGraph, Entry
from legoc.graph.nodes import Brick, Bypass, Estimate, NoEstimateBelow, Pretrained, span_of
from legoc.graph.verify import GraphError, Violation

NOTHING = "nothing"


@dataclass(frozen=True)
class RerouteEstimates:
    """Remove bypasses. A brick that becomes the first to run reads zeros (z(0) = empty in the paper).

    A pretrained brick that does reads the noisy image alone, as at the bottom. Under `carry: raw` the estimate of a
    brick that is left out is made of the network below it; where there is none, there is no such estimate.
    """

    name: ClassVar[str] = "reroute-estimates"

    def apply(self, graph: BrickGraph) -> BrickGraph:
        """A graph without bypasses.

        Raises:
            GraphError: an output has no brick left to come from.
        """
        entries: dict[str, Entry] = {}
        for name, entry in graph.entries.items():
            if isinstance(entry.node, Bypass) or self._source(graph, name) == NOTHING:
                continue
            inputs = {slot: self._source(graph, source) for slot, source in entry.inputs.items()}
            if isinstance(entry.node, Pretrained):
                inputs = {slot: source for slot, source in inputs.items() if source != NOTHING}
            if NOTHING in inputs.values():
                if not isinstance(entry.node, Brick):
                    message = "no brick is left for this result to come from"
                    raise GraphError([Violation("has output", name, message, span_of(entry.node))])
                image = entry.inputs["image"]
                entries.setdefault(NOTHING, Entry(NOTHING, NoEstimateBelow(), {"like": image}, graph[image].type))
            entries[name] = Entry(name, entry.node, inputs, entry.type)
        return graph.with_entries(entries)

    def _source(self, graph: BrickGraph, name: str) -> str:
        """Follow bypasses down to what really computes the value."""
        while isinstance(graph[name].node, Bypass):
            inputs = graph[name].inputs
            if "below" not in inputs:
                return NOTHING
            name = inputs["below"]
        if isinstance(graph[name].node, Estimate) and self._source(graph, graph[name].inputs["network"]) == NOTHING:
            return NOTHING
        return name
