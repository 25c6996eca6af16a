"""Turn the bricks that a configuration leaves out into bypasses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from legoc.graph.brick_graph import BrickGraph, Entry
from legoc.graph.build import brick_name, carried_name, estimate_name
from legoc.graph.nodes import Bypass, span_of
from legoc_runtime.contract.policy import Configuration, configuration_name


@dataclass(frozen=True)
class SpecialiseSkips:
    """Replace what a skipped brick hands on by what it was handed.

    With `carry: x0` that is the brick's estimate, with `carry: raw` its network output; nodes that only fed it
    die later. Of a pretrained brick the estimate is replaced in either case, since nothing makes it of a network.

    Attributes:
        configuration: the bricks that run.
    """

    name: ClassVar[str] = "specialise-skips"
    configuration: Configuration

    def apply(self, graph: BrickGraph) -> BrickGraph:
        """The graph of this configuration, bypasses still in it."""
        shape, entries = graph.shape, dict(graph.entries)
        for under, id in zip((None, *shape.ids), shape.ids, strict=False):
            if id in self.configuration:
                continue
            handed: dict[str, str | None] = {carried_name(shape, id): under and carried_name(shape, under)}
            if shape.runs_pretrained((id,)):
                handed[estimate_name(id)] = under and estimate_name(under)
            elif "below" not in graph[brick_name(id)].inputs:
                handed = dict.fromkeys(handed)
            for name, below in handed.items():
                replaced = entries[name]
                inputs = {} if below is None else {"below": below}
                entries[name] = replace(Entry(name, Bypass(id, span_of(replaced.node)), inputs), type=replaced.type)
        return graph.with_entries(entries, name=configuration_name(self.configuration))
