"""The verifier: a table of invariants that hold before and after every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from legoc.graph.brick_graph import BrickGraph, Entry
from legoc.graph.nodes import (
    AsNetwork,
    Brick,
    Bypass,
    ClassLabel,
    Conditioning,
    Estimate,
    GraphType,
    NoEstimateBelow,
    NoiseLevel,
    NoiseScales,
    NoisyImage,
    Output,
    Pretrained,
    ScaledImage,
    Scales,
    span_of,
)
from legoc.source import Span
from legoc_runtime.contract.program import Image, Label, Scalar, Vector

_OPTIONAL_SLOTS: dict[str, tuple[str, ...]] = {
    "brick": ("below",),
    "bypass": ("below",),
    "conditioning": ("label",),
    "pretrained": ("label", "below"),
}


@dataclass(frozen=True)
class Violation:
    """A broken invariant: which, at which node, and where the user wrote that."""

    invariant: str
    node: str
    message: str
    span: Span | None


class GraphError(Exception):
    """A graph that breaks its invariants."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("; ".join(f"%{v.node}: {v.message} [{v.invariant}]" for v in violations))
        self.violations = violations


def expected_type(graph: BrickGraph, entry: Entry) -> GraphType:
    """The type that a node's value has by its kind and the architecture."""
    shape = graph.shape
    image = Image(shape.channels, *shape.grid)
    match entry.node:
        case NoiseLevel():
            return Scalar()
        case ClassLabel():
            return Label(shape.classes or 0)
        case NoiseScales():
            return Scales()
        case Conditioning():
            return Vector(shape.condition_width)
        case NoisyImage() | ScaledImage() | NoEstimateBelow() | Brick() | Estimate() | Bypass() | Output():
            return image
        case Pretrained() | AsNetwork():
            return image


def _inputs_exist(graph: BrickGraph) -> Iterator[tuple[Entry, str]]:
    for entry in graph.entries.values():
        for slot, source in entry.inputs.items():
            if source not in graph:
                yield entry, f"`{slot}` reads %{source}, which does not exist"


def _slots_match(graph: BrickGraph) -> Iterator[tuple[Entry, str]]:
    for entry in graph.entries.values():
        required = set(entry.node.required)
        allowed = required | set(_OPTIONAL_SLOTS.get(entry.node.kind, ()))
        for slot in sorted(required - entry.inputs.keys()):
            yield entry, f"`{slot}` is not connected"
        for slot in sorted(entry.inputs.keys() - allowed):
            yield entry, f"a {entry.node.kind} has no input `{slot}`"


def _estimate_slots(graph: BrickGraph) -> Iterator[tuple[Entry, str]]:
    for entry in graph.entries.values():
        if (
            isinstance(entry.node, Brick)
            and ("below" in entry.inputs) != graph.shape.brick(entry.node.id).takes_estimate
        ):
            yield entry, "the brick's input channels and its connection to an estimate below disagree"


def _acyclic(graph: BrickGraph) -> Iterator[tuple[Entry, str]]:
    try:
        list(graph.in_order())
    except ValueError as error:
        yield next(iter(graph.entries.values())), str(error)


def _has_output(graph: BrickGraph) -> Iterator[tuple[Entry, str]]:
    outputs = [entry for entry in graph.entries.values() if isinstance(entry.node, Output)]
    if not outputs:
        yield next(iter(graph.entries.values())), "the graph has no output"
    for entry in outputs:
        source = graph.entries.get(entry.inputs.get("value", ""))
        if source is not None and not isinstance(source.node, Estimate | Pretrained | Bypass):
            yield entry, f"the output is a {source.node.kind}, not an estimate"


def _types_agree(graph: BrickGraph) -> Iterator[tuple[Entry, str]]:
    for entry in graph.entries.values():
        if entry.type is not None and entry.type != (expected := expected_type(graph, entry)):
            yield entry, f"has type {entry.type}, its kind says {expected}"


INVARIANTS: dict[str, Callable[[BrickGraph], Iterator[tuple[Entry, str]]]] = {
    "inputs exist": _inputs_exist,
    "slots match": _slots_match,
    "no cycle": _acyclic,
    "estimate slots": _estimate_slots,
    "has output": _has_output,
    "types agree": _types_agree,
}


def verify(graph: BrickGraph) -> None:
    """Raise GraphError with every violation of the first invariant that does not hold."""
    for name, check in INVARIANTS.items():
        if violations := [Violation(name, e.name, text, span_of(e.node)) for e, text in check(graph)]:
            raise GraphError(violations)
