"""Turn the bricks that a configuration leaves out into bypasses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from legoc.graph.brick_graph import BrickGraph, Entry
from legoc.graph.build import brick_name, carried_name
from legoc.graph.nodes import Bypass, span_of
from legoc_runtime.contract.policy import Configuration, configuration_name


@dataclass(frozen=True)
class SpecialiseSkips:
    """Replace what a skipped brick hands on by what it was handed.

    With `carry: x0` that is the brick's estimate, with `carry: raw` its network output; nodes that only fed it
    die later.

    Attributes:
        configuration: the bricks that run.
    """

    name: ClassVar[str] = "specialise-skips"
    configuration: Configuration

    def apply(self, graph: BrickGraph) -> BrickGraph:
        """The graph of this configuration, bypasses still in it."""
        entries = dict(graph.entries)
        for id in graph.shape.ids:
            if id in self.configuration:
                continue
            # a pretrained brick reads none, and has no network of its own
            below = graph[brick_name(id)].inputs.get("below") if brick_name(id) in graph else None
            name = carried_name(graph.shape, id)
            replaced = entries[name]
            inputs = {} if below is None else {"below": below}
            entries[name] = replace(Entry(name, Bypass(id, span_of(replaced.node)), inputs), type=replaced.type)
        return graph.with_entries(entries, name=configuration_name(self.configuration))
