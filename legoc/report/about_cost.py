"""What a stack costs: the figures of `legoc cost` as cards and tables, and the timelines of its policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from legoc.cost.counts import FLOPS_PER_MAC
from legoc.cost.memory import BYTES
from legoc.cost.report import BrickCost, Cost, PolicyCost, PretrainedCost
from legoc.cost.table import FOOTNOTE, byte_count, left_out, parameter_count, quantity, schedule_words
from legoc.render.lines import counted
from legoc.report.drawings import graph_figure, timeline_figure
from legoc.report.html import Html, joined, tag
from legoc.report.parts import Column, Section, bar, card, folded, table
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.policy import configuration_name
from legoc_runtime.contract.samplers import SAMPLERS

OPEN_TIMELINES = 6
"""Timelines that are shown at once; further ones are folded."""


def macs(count: int) -> str:
    """`1.01 GMACs`."""
    return quantity(count) + ("MACs" if count >= 1000 else " MACs")


def cost_cards(cost: Cost, sampled: str) -> Iterator[Html]:
    """The figures of the summary.

    Args:
        cost: the stack's.
        sampled: name of the policy that the spec samples with.
    """
    policy = next((policy for policy in cost.policies if policy.policy == sampled), cost.policies[0])
    how = f"{SAMPLERS[cost.sampler].title}, {cost.steps} levels, {cost.evaluations} evaluations"
    yield card(
        "Parameters",
        parameter_count(cost.parameters),
        counted(len(cost.bricks) + (cost.pretrained is not None), "brick"),
    )
    yield card("A forward pass", macs(cost.macs), f"{quantity(cost.flops)}FLOPs, one image")
    yield card("A training image", macs(cost.training_macs), "forward and backward")
    what = "an image" if cost.canvas is None else f"a canvas of {cost.canvas.size[0]}x{cost.canvas.size[1]}"
    yield card(f"Sampling {what}", macs(policy.macs), f"policy {policy.policy}: {how}")
    for policy in cost.policies:
        if policy.skipped:
            yield card(f"{policy.policy} saves", f"{policy.saving:.1%}", "of sampling", share=policy.saving)


def cost_sections(spec: StackSpec, cost: Cost) -> Iterator[Section]:
    """The graph, the timelines, the tables."""
    yield Section("stack", "The stack", graph_figure(spec))
    yield Section("policies", "Skip policies", joined([_policies(cost), *_timelines(spec, cost)]))
    memory = [_configurations(cost), _memory(cost), tag("p", FOOTNOTE, class_="sub")]
    yield Section("cost", "Cost", joined([_bricks(cost), _training(cost), *memory]))


def _timelines(spec: StackSpec, cost: Cost) -> Iterator[Html]:
    names = [policy.policy for policy in cost.policies if policy.skipped] or [cost.policies[0].policy]
    figures = [timeline_figure(spec, name) for name in names]
    yield tag("div", *figures[:OPEN_TIMELINES], class_="beside")
    if more := figures[OPEN_TIMELINES:]:
        yield folded(f"{counted(len(more), 'further timeline')}: {', '.join(names[OPEN_TIMELINES:])}", *more)


def _bricks(cost: Cost) -> Html:
    heads = ("brick", "window", "windows", "token", "tokens", "depth", "width", "parameters", "MACs", "FLOPs", "share")
    rows: list[Sequence[str]] = [_brick(brick) for brick in cost.bricks]
    if cost.pretrained is not None:
        rows.insert(cost.pretrained.place, _model(cost.pretrained))
    shared = (
        parameter_count(cost.shared_parameters),
        quantity(cost.shared_macs),
        quantity(FLOPS_PER_MAC * cost.shared_macs),
    )
    rows.append(("shared", *[""] * 6, *shared, _share(cost.shared_macs / cost.macs)))
    whole = (parameter_count(cost.parameters), quantity(cost.macs), quantity(cost.flops), _share(1.0))
    rows.append(("all", *[""] * 6, *whole))
    columns = [Column(head, figures=i > 0) for i, head in enumerate(heads)]
    return table("Bricks, bottom to top; MACs of one forward pass of an image", columns, rows, sums=1)


def _brick(brick: BrickCost) -> tuple[str, ...]:
    return (
        brick.id,
        f"{brick.window[0]}×{brick.window[1]}",
        f"{brick.windows:,}",
        f"{brick.receptive_field}×{brick.receptive_field}",
        f"{brick.tokens:,}",
        str(brick.depth),
        f"{brick.width:,}",
        parameter_count(brick.parameters),
        quantity(brick.macs),
        quantity(FLOPS_PER_MAC * brick.macs),
        _share(brick.share),
    )


def _model(given: PretrainedCost) -> tuple[str, ...]:
    """A pretrained model's own numbers; `?` for what nothing tells, and no sum has."""
    counts: tuple[str, ...] = ("?", "?", "?")
    if given.macs is not None and given.share is not None:
        counts = (quantity(given.macs), quantity(FLOPS_PER_MAC * given.macs), _share(given.share))
    count = "?" if given.parameters is None else parameter_count(given.parameters)
    return (given.id, given.kind, *[""] * 5, count, *counts)


def _share(share: float) -> Html:
    return joined([bar(share), tag("span", f"{share:.1%}", class_="percent")])


def _training(cost: Cost) -> Html:
    trained = [f"{b.id} {b.windows_trained} of {b.windows}" for b in cost.bricks if b.windows_trained < b.windows]
    patches = f"; windows trained: {', '.join(trained)}" if trained else ""
    return tag("p", f"Training: {macs(cost.training_macs)} an image{patches}.", class_="sub")


def _policies(cost: Cost) -> Html:
    peer = () if cost.peer is None else (Column(f"saving against {cost.peer.name}", figures=True),)
    columns = (Column("policy"), Column("MACs an image", True), Column("saving", True), *peer, Column("left out"))
    body = [_policy(policy, cost) for policy in cost.policies]
    words = schedule_words(cost) + ("" if cost.canvas is None else f"; {cost.canvas.describe()}, whose MACs these are")
    return table(words, columns, body)


def _policy(policy: PolicyCost, cost: Cost) -> tuple[str, ...]:
    peer = () if policy.peer_saving is None else (f"{policy.peer_saving:.1%}",)
    words = left_out(policy, cost.steps) or ["nothing"]
    lines = joined([tag("span", line, class_="wrapped") for line in words])
    return (policy.policy, quantity(policy.macs), _share(policy.saving), *peer, lines)


def _configurations(cost: Cost) -> Html:
    rows = [
        (configuration_name(c.configuration), parameter_count(c.parameters), quantity(c.macs), _share(c.share))
        for c in cost.configurations
    ]
    columns = [Column("configuration"), *(Column(head, figures=True) for head in ("parameters", "MACs", "share"))]
    return table("Sets of bricks that run together, with the parameters that each needs", columns, rows)


def _memory(cost: Cost) -> Html:
    memory, rows = cost.memory, cost.rows(1)
    lines = [
        ("weights", memory.weights, 1),
        (f"activations of sampling an image, {counted(rows, 'row')}", memory.sampling_activations, rows),
        ("activations of training an image", memory.training_activations, 1),
    ]
    body = [(name, *(byte_count(times * sizes[kind]) for kind in BYTES)) for name, sizes, times in lines]
    state = byte_count(memory.training_state)
    columns = [Column("of"), *(Column(kind, figures=True) for kind in cast("dict[str, int]", BYTES))]
    words = f"A training run keeps {state} of weights, gradients, moments and averages beside its activations."
    return joined([table("Memory, by formula", columns, body), tag("p", words, class_="sub")])
