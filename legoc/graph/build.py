"""StackSpec to BrickGraph: the whole stack, nothing left out."""

from __future__ import annotations

from legoc.graph.brick_graph import BrickGraph, Entry
from legoc.graph.nodes import (
    AsNetwork,
    Brick,
    ClassLabel,
    Conditioning,
    Estimate,
    NoiseLevel,
    NoiseScales,
    NoisyImage,
    Output,
    Pretrained,
    ScaledImage,
)
from legoc.source import Span
from legoc_runtime.contract.policy import Configuration, configuration_name
from legoc_runtime.contract.stack import BrickShape, PretrainedShape, StackShape

OUTPUT = "output"
"""Name of the sampling graph's output; outputs of the training graph are `output.ID`."""


def brick_name(id: str) -> str:
    """Name of a brick's network node."""
    return f"brick.{id}"


def estimate_name(id: str) -> str:
    """Name of a brick's estimate node."""
    return f"estimate.{id}"


def carried_name(shape: StackShape, id: str) -> str:
    """Name of the node whose value a brick hands on: its estimate (`carry: x0`) or network output (`carry: raw`)."""
    return estimate_name(id) if shape.carry == "x0" else brick_name(id)


def sampling_graph(shape: StackShape, spans: dict[str, Span] | None = None) -> BrickGraph:
    """The graph that returns the top brick's estimate.

    Args:
        shape: the architecture.
        spans: brick id -> where the user wrote it, for errors in later passes.
    """
    entries = _stack_entries(shape, spans or {})
    entries[OUTPUT] = Entry(OUTPUT, Output(), {"value": estimate_name(shape.ids[-1])})
    return BrickGraph(shape, configuration_name(shape.ids), entries)


def training_graph(
    shape: StackShape, spans: dict[str, Span] | None = None, learning: Configuration | None = None
) -> BrickGraph:
    """The graph that returns the estimate of every brick that trains, bottom to top; None is all of them."""
    entries = _stack_entries(shape, spans or {})
    for id in shape.trainable if learning is None else learning:
        entries[f"{OUTPUT}.{id}"] = Entry(f"{OUTPUT}.{id}", Output(), {"value": estimate_name(id)})
    return BrickGraph(shape, "training", entries)


def _stack_entries(shape: StackShape, spans: dict[str, Span]) -> dict[str, Entry]:
    condition = {"scales": "scales"}
    entries = [Entry("x", NoisyImage()), Entry("sigma", NoiseLevel())]
    if shape.classes is not None:
        entries.append(Entry("label", ClassLabel()))
        condition["label"] = "label"
    entries += [
        Entry("scales", NoiseScales(), {"sigma": "sigma"}),
        Entry("scaled", ScaledImage(), {"image": "x", "scales": "scales"}),
        Entry("condition", Conditioning(), condition),
    ]
    under: str | None = None
    for id in shape.ids:
        given = shape.runs_pretrained((id,))
        if given is None:
            entries += _brick_entries(shape, shape.brick(id), under, spans.get(id))
        else:
            entries += _pretrained_entries(shape, given, under, spans.get(id))
        under = id
    return {entry.name: entry for entry in entries}


def _brick_entries(shape: StackShape, brick: BrickShape, under: str | None, span: Span | None) -> list[Entry]:
    """A brick's network, which reads what the brick under it hands on, and its estimate."""
    inputs = {"image": "scaled", "condition": "condition"}
    if under is not None and brick.takes_estimate:
        inputs["below"] = carried_name(shape, under)
    name = brick_name(brick.id)
    estimate = Estimate(brick.id, span), {"image": "x", "network": name, "scales": "scales"}
    return [Entry(name, Brick(brick.id, span), inputs), Entry(estimate_name(brick.id), *estimate)]


def _pretrained_entries(shape: StackShape, given: PretrainedShape, under: str | None, span: Span | None) -> list[Entry]:
    """The model that stands for a brick; under `carry: raw` also what it hands on.

    It reads the estimate of the brick under it whatever is carried: from there on it denoises.
    """
    estimate = estimate_name(given.id)
    inputs = {"image": "x", "sigma": "sigma"} | ({} if given.classes is None else {"label": "label"})
    if under is not None:
        inputs["below"] = estimate_name(under)
    entries = [Entry(estimate, Pretrained(given.id, span), inputs)]
    if shape.carry == "raw":
        inputs = {"estimate": estimate, "image": "x", "scales": "scales"}
        entries.append(Entry(brick_name(given.id), AsNetwork(given.id, span), inputs))
    return entries
