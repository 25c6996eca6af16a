"""The stable text form of a brick graph: what `--print-after` shows and tests compare."""

from __future__ import annotations

from legoc.graph.brick_graph import BrickGraph, Entry
from legoc.graph.nodes import AsNetwork, Brick, Bypass, Estimate, Pretrained


def to_text(graph: BrickGraph) -> str:
    """One line a node, inputs before readers, types where they are known."""
    lines = [f"graph {graph.name} {{"]
    lines += [f"  {_line(graph, entry)}" for entry in graph.in_order()]
    return "\n".join([*lines, "}"]) + "\n"


def _line(graph: BrickGraph, entry: Entry) -> str:
    type_text = f": {entry.type}" if entry.type is not None else ""
    match entry.node:
        case Brick(id=id):
            brick = graph.shape.brick(id)
            what = (
                f"brick @{id} {brick.windows} windows of {brick.window[0]}x{brick.window[1]}, "
                f"{brick.tokens} tokens of {brick.receptive_field}x{brick.receptive_field}, depth {brick.depth}"
            )
        case Estimate(id=id) | Pretrained(id=id) | AsNetwork(id=id) | Bypass(id=id):
            what = f"{entry.node.kind} @{id}"
        case _:
            what = entry.node.kind
    arguments = ", ".join(f"{slot}=%{source}" for slot, source in entry.inputs.items())
    return f"%{entry.name}{type_text} = {what} ({arguments})"
