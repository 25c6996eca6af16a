"""What a picture of a stack shows: every brick, which of them run, and whose estimate each one reads.

The paths are read off the brick graph after the passes, so that the picture shows what is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Literal

from legoc.cost import brick_macs, brick_parameters, macs, parameters
from legoc.cost.counts import pretrained_macs, pretrained_parameters
from legoc.cost.table import parameter_count
from legoc.draw.timeline import sigma_text
from legoc.graph.brick_graph import BrickGraph
from legoc.graph.build import OUTPUT, brick_name, estimate_name, sampling_graph
from legoc.graph.nodes import AsNetwork, Brick, Bypass, Estimate, Pretrained
from legoc.graph.text import to_text
from legoc.passes.base import run_passes
from legoc.passes.catalog import sampling_passes
from legoc.passes.runner import Journal, Observer, PassRun
from legoc_runtime.contract.policy import Configuration, Run, TruthTable, configuration_name
from legoc_runtime.contract.schedule import Level
from legoc_runtime.contract.stack import BrickShape, PretrainedShape, StackShape
from legoc_runtime.errors import UsageError

Mark = Literal["changed", "new", "gone"]
"""What a comparison says of a brick."""

MAX_PANELS = 8
"""Configurations that one picture shows."""

_SHOWN_RUNS = 3


@dataclass(frozen=True, slots=True)
class DrawnBrick:
    """One brick of one configuration.

    Attributes:
        shape: the brick.
        parameters: its trainable parameters.
        macs: its multiply-accumulates for one image.
        share: `macs` over those of the whole stack, 0 to 1.
        runs: whether the configuration runs it.
        reads: id of the brick that its estimate from below comes from, or None.
        reads_zeros: whether it has a slot for an estimate and no brick below it runs.
        model: what a pretrained brick is; `shape` is then one window and one token, and says nothing of its inside.
    """

    shape: BrickShape
    parameters: int
    macs: int
    share: float
    runs: bool
    reads: str | None
    reads_zeros: bool
    model: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One configuration.

    Attributes:
        when: the noise levels that run it, or an empty text for all.
        bricks: every brick of the stack, bottom to top.
        output: id of the brick whose estimate is the result.
        share: its multiply-accumulates over those of the whole stack, 0 to 1.
    """

    when: str
    bricks: tuple[DrawnBrick, ...]
    output: str
    share: float

    @property
    def skipped(self) -> tuple[str, ...]:
        """Ids of the bricks that are left out, bottom to top."""
        return tuple(brick.shape.id for brick in self.bricks if not brick.runs)

    @property
    def summary(self) -> str:
        """One line: what is left out, and the share of the multiply-accumulates that remains."""
        if not self.skipped:
            return "every brick runs"
        return f"without {', '.join(self.skipped)}: {self.share:.1%} of the MACs"

    @property
    def bypasses(self) -> tuple[tuple[str, str], ...]:
        """Neighbours, lower first, of which one or both are left out."""
        pairs = zip(self.bricks, self.bricks[1:], strict=False)
        return tuple((low.shape.id, high.shape.id) for low, high in pairs if not (low.runs and high.runs))

    def passed(self, source: str, reader: str | None) -> tuple[str, ...]:
        """Ids of the bricks between a brick and the reader of its value, all left out; `reader` None is the output."""
        ids = [brick.shape.id for brick in self.bricks]
        stop = len(ids) if reader is None else ids.index(reader)
        return tuple(ids[ids.index(source) + 1 : stop])


@dataclass(frozen=True, slots=True)
class GraphPicture:
    """A stack in one or several configurations, ready to be drawn.

    Attributes:
        stack: the stack's name.
        shape: the stack.
        parameters: its trainable parameters.
        macs: multiply-accumulates of one image through the whole stack.
        panels: the configurations.
    """

    stack: str
    shape: StackShape
    parameters: int
    macs: int
    panels: tuple[Panel, ...]

    def carried(self, reader: DrawnBrick) -> str:
        """What a brick is handed from below, in words; a pretrained one begins from the estimate in any case."""
        return "estimate" if self.shape.carry == "x0" or reader.model else "network output"

    @property
    def conditioning(self) -> str:
        """What the bricks are conditioned on, in words."""
        classes = self.shape.classes
        return "noise level σ" if classes is None else f"noise level σ, {classes} classes"


def brick_lines(brick: DrawnBrick) -> list[str]:
    """What a brick is, in four short lines."""
    shape = brick.shape
    if brick.model:
        return [*brick.model, *([f"{parameter_count(brick.parameters)} parameters"] if brick.parameters else [])]
    (height, width), side = shape.window, shape.receptive_field
    windows = "1 window, the whole grid" if shape.covers_grid else f"{shape.windows:,} windows of {height}×{width} px"
    each = "" if shape.covers_grid else " in each"
    if shape.offset != (0, 0):
        windows += f", shifted by {shape.offset[0]}, {shape.offset[1]}"
    return [
        windows,
        f"{shape.tokens:,} {'tokens' if shape.tokens > 1 else 'token'} of {side}×{side} px{each}",
        f"depth {shape.depth} · width {shape.width}",
        f"{parameter_count(brick.parameters)} parameters",
    ]


def configuration_graph(shape: StackShape, configuration: Configuration, observe: Observer | None = None) -> BrickGraph:
    """The brick graph of a configuration after all passes. `observe` is called after each of them."""
    journal = Journal(configuration_name(configuration), observe)
    return run_passes(sampling_graph(shape), sampling_passes(configuration), journal)


def make_picture(stack: str, shape: StackShape, configurations: Sequence[tuple[Configuration, str]]) -> GraphPicture:
    """The picture of a stack.

    Args:
        stack: the stack's name.
        shape: the stack.
        configurations: what to show, each with the words for when it runs (`policy_configurations`), or "".

    Raises:
        UsageError: more than `MAX_PANELS` configurations.
    """
    if len(configurations) > MAX_PANELS:
        raise UsageError(
            f"the policy reaches {len(configurations)} configurations, and a picture shows up to {MAX_PANELS}",
            help="choose one with --configuration, or draw the policy with `legoc timeline`",
        )
    panels = tuple(_panel(configuration_graph(shape, bricks), when) for bricks, when in configurations)
    return GraphPicture(stack, shape, parameters(shape), macs(shape), panels)


def policy_configurations(table: TruthTable) -> list[tuple[Configuration, str]]:
    """The configurations that a policy reaches, in order of first use, with the noise levels that run each."""
    found: list[tuple[Configuration, str]] = []
    for configuration in table.distinct():
        runs = [run for run in table.runs() if run.configuration == configuration]
        words = ", ".join(_run_words(run, table.levels) for run in runs[:_SHOWN_RUNS])
        if len(runs) > _SHOWN_RUNS:
            words += f" and {len(runs) - _SHOWN_RUNS} further stretches"
        found.append((configuration, f"policy {table.policy}: {words}"))
    return found


def configuration_of(shape: StackShape, text: str) -> Configuration:
    """The configuration that a name such as `windows+image` stands for, whatever the order of its bricks.

    Raises:
        UsageError: it names no brick, a brick twice, or one that the stack does not have.
    """
    ids = [id.strip() for id in text.split("+") if id.strip()]
    if unknown := [id for id in ids if id not in shape.ids]:
        raise UsageError(f"there is no brick `{unknown[0]}`", help=f"the bricks are {', '.join(shape.ids)}")
    if not ids or len(set(ids)) < len(ids):
        raise UsageError(
            f"`{text}` is not a configuration", help=f"join bricks with +, for example {'+'.join(shape.ids)}"
        )
    return tuple(id for id in shape.ids if id in ids)


def graphs_after(shape: StackShape, configuration: Configuration, name: str) -> list[tuple[str, str]]:
    """The brick graph of a configuration after a pass, in its stable text form.

    Args:
        shape: the stack.
        configuration: the bricks that run.
        name: a pass, or `all` for every pass.

    Returns:
        names of passes with the text of the graph after each, in the order in which they run.

    Raises:
        UsageError: there is no such pass.
    """
    names = [step.name for step in sampling_passes(configuration)]
    if name not in (*names, "all"):
        raise UsageError(f"there is no pass `{name}`", help=f"choose one of {', '.join(names)}, or all")
    texts: list[tuple[str, str]] = []

    def observe(run: PassRun) -> None:
        if name in (run.name, "all") and isinstance(run.after, BrickGraph):
            texts.append((run.name, to_text(run.after)))

    configuration_graph(shape, configuration, observe)
    return texts


def _panel(graph: BrickGraph, when: str) -> Panel:
    shape = graph.shape
    whole, own = macs(shape), {brick.id for brick in shape.bricks}
    running = tuple(id for id in shape.ids if (brick_name(id) if id in own else estimate_name(id)) in graph)
    output = _brick_behind(graph, graph[OUTPUT].inputs["value"])
    if output is None:
        raise AssertionError("the verifier lets no graph pass whose output is no estimate")
    bricks = [_drawn(graph, brick, brick.id in running, whole) for brick in shape.bricks]
    if (given := shape.pretrained) is not None:
        bricks.insert(given.place, _drawn_model(graph, given, given.id in running, whole))
    return Panel(when, tuple(bricks), output, macs(shape, running) / whole)


def _drawn(graph: BrickGraph, brick: BrickShape, runs: bool, whole: int) -> DrawnBrick:
    below = graph[brick_name(brick.id)].inputs.get("below") if runs else None
    reads = None if below is None else _brick_behind(graph, below)
    own = brick_macs(brick)
    return DrawnBrick(
        shape=brick,
        parameters=brick_parameters(brick),
        macs=own,
        share=own / whole,
        runs=runs,
        reads=reads,
        reads_zeros=below is not None and reads is None,
    )


def _drawn_model(graph: BrickGraph, given: PretrainedShape, runs: bool, whole: int) -> DrawnBrick:
    """A pretrained brick: a card of one window and one token, with what is known of the model."""
    shape = graph.shape
    below = graph[estimate_name(given.id)].inputs.get("below") if runs else None
    reads = None if below is None else _brick_behind(graph, below)
    side = gcd(*shape.grid)
    card = BrickShape(given.id, shape.grid, shape.grid, side, 0, 0, 1, 1, shape.channels, 0, False, 0)
    own = pretrained_macs(given) or 0
    words = (
        "a pretrained model",
        f"{given.kind}{f' {given.name}' if given.name else ''}",
        "frozen" if given.frozen else "trained further",
    )
    if given.noise_scale is not None:
        words = (*words[:-1], f"{words[-1]}, from {given.noise_scale:g} σ on")
    return DrawnBrick(card, pretrained_parameters(given), own, own / whole, runs, reads, False, words)


def _brick_behind(graph: BrickGraph, name: str) -> str | None:
    """The brick that computes a value, or None where nothing does."""
    entry = graph[name]
    match entry.node:
        case Brick(id=id) | Pretrained(id=id) | AsNetwork(id=id):
            return id
        case Estimate():
            return _brick_behind(graph, entry.inputs["network"])
        case Bypass():
            return _brick_behind(graph, entry.inputs["below"]) if "below" in entry.inputs else None
        case _:
            return None


def _run_words(run: Run, levels: Sequence[Level]) -> str:
    first, last = levels[run.start], levels[run.stop - 1]
    if run.stop - run.start == 1:
        return f"step {run.start} (σ {sigma_text(first.sigma)})"
    return f"steps {run.start}-{run.stop - 1} (σ {sigma_text(first.sigma)} to {sigma_text(last.sigma)})"
