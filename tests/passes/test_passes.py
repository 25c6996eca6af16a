"""Each pass on the text form of the graph: before, expected after. And the pipeline's way of failing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from legoc.diagnostics import SpecError
from legoc.graph.brick_graph import BrickGraph
from legoc.graph.build import sampling_graph, training_graph
from legoc.graph.text import to_text
from legoc.passes.base import run_passes
from legoc.passes.eliminate_dead import EliminateDead
from legoc.passes.infer_shapes import InferShapes
from legoc.passes.reroute_estimates import RerouteEstimates
from legoc.passes.specialise_skips import SpecialiseSkips
from legoc.source import SourceFile, Span
from tests.stacks import stack


def lines(graph: BrickGraph) -> list[str]:
    """The text form without its frame and without types and geometry, which `test_infer_shapes` looks at."""
    found = []
    for line in to_text(graph).splitlines()[1:-1]:
        name, _, rest = line.strip().partition(" = ")
        what, _, arguments = rest.rpartition(" (")
        found.append(f"{name.split(':')[0]} = {' '.join(what.split()[:2])} ({arguments}")
    return found


def changes(before: BrickGraph, after: BrickGraph) -> tuple[set[str], set[str]]:
    return set(lines(before)) - set(lines(after)), set(lines(after)) - set(lines(before))


def test_infer_shapes():
    graph = InferShapes().apply(sampling_graph(stack(windows=((4, 8), (8, 16)), grid=(8, 16), receptive_fields=(2, 4))))
    assert to_text(graph) == (
        "graph windows+parts {\n"
        "  %x: image[3x8x16] = noisy_image ()\n"
        "  %sigma: scalar = noise_level ()\n"
        "  %label: label[5] = class_label ()\n"
        "  %scales: scales = noise_scales (sigma=%sigma)\n"
        "  %scaled: image[3x8x16] = scaled_image (image=%x, scales=%scales)\n"
        "  %condition: vector[32] = conditioning (scales=%scales, label=%label)\n"
        "  %brick.windows: image[3x8x16] = brick @windows 4 windows of 4x8, 8 tokens of 2x2, depth 1 "
        "(image=%scaled, condition=%condition)\n"
        "  %estimate.windows: image[3x8x16] = estimate @windows (image=%x, network=%brick.windows, scales=%scales)\n"
        "  %brick.parts: image[3x8x16] = brick @parts 1 windows of 8x16, 8 tokens of 4x4, depth 1 "
        "(image=%scaled, condition=%condition, below=%estimate.windows)\n"
        "  %estimate.parts: image[3x8x16] = estimate @parts (image=%x, network=%brick.parts, scales=%scales)\n"
        "  %output: image[3x8x16] = output (value=%estimate.parts)\n"
        "}\n"
    )


def test_specialise_skips_replaces_what_a_brick_hands_on():
    x0 = sampling_graph(stack())
    gone, new = changes(x0, SpecialiseSkips(("windows", "whole")).apply(x0))
    assert gone == {"%estimate.parts = estimate @parts (image=%x, network=%brick.parts, scales=%scales)"}
    assert new == {"%estimate.parts = bypass @parts (below=%estimate.windows)"}
    raw = sampling_graph(stack(carry="raw"))
    gone, new = changes(raw, SpecialiseSkips(("windows", "whole")).apply(raw))
    assert gone == {"%brick.parts = brick @parts (image=%scaled, condition=%condition, below=%brick.windows)"}
    assert new == {"%brick.parts = bypass @parts (below=%brick.windows)"}


def test_eliminate_dead_keeps_what_the_output_needs():
    before = SpecialiseSkips(("windows", "whole")).apply(sampling_graph(stack()))
    gone, new = changes(before, EliminateDead().apply(before))
    assert new == set()
    assert gone == {"%brick.parts = brick @parts (image=%scaled, condition=%condition, below=%estimate.windows)"}
    unconditional = sampling_graph(stack(classes=None))
    assert EliminateDead().apply(unconditional) == unconditional


def test_reroute_connects_to_the_nearest_brick_that_runs():
    before = EliminateDead().apply(SpecialiseSkips(("windows", "whole")).apply(sampling_graph(stack())))
    gone, new = changes(before, RerouteEstimates().apply(before))
    assert gone == {
        "%estimate.parts = bypass @parts (below=%estimate.windows)",
        "%brick.whole = brick @whole (image=%scaled, condition=%condition, below=%estimate.parts)",
    }
    assert new == {"%brick.whole = brick @whole (image=%scaled, condition=%condition, below=%estimate.windows)"}


def test_reroute_gives_nothing_where_no_brick_runs_below():
    before = EliminateDead().apply(SpecialiseSkips(("whole",)).apply(sampling_graph(stack(carry="raw"))))
    _, new = changes(before, RerouteEstimates().apply(before))
    assert new == {
        "%nothing = no_estimate (like=%scaled)",
        "%brick.whole = brick @whole (image=%scaled, condition=%condition, below=%nothing)",
    }


def test_passes_do_not_change_their_input():
    graph = sampling_graph(stack())
    text = to_text(graph)
    for step in (InferShapes(), SpecialiseSkips(("parts",)), EliminateDead()):
        step.apply(graph)
        assert to_text(graph) == text


@dataclass(frozen=True)
class CutTheWire:
    """Breaks the graph on purpose: the top brick loses its estimate from below."""

    name: ClassVar[str] = "cut-the-wire"

    def apply(self, graph: BrickGraph) -> BrickGraph:
        entries = dict(graph.entries)
        entry = entries["brick.whole"]
        entries["brick.whole"] = type(entry)(
            entry.name, entry.node, {k: v for k, v in entry.inputs.items() if k != "below"}, entry.type
        )
        return graph.with_entries(entries)


def test_a_failing_pass_names_itself_those_before_it_and_the_users_line():
    source = SourceFile("stack.yaml", "bricks:\n  - {id: whole}\n")
    graph = sampling_graph(stack(), {"whole": Span(source, 12, 23)})
    with pytest.raises(SpecError) as caught:
        run_passes(graph, (InferShapes(), CutTheWire(), EliminateDead()))
    (diagnostic,) = caught.value.diagnostics
    assert "`cut-the-wire`" in diagnostic.message
    assert "`infer-shapes`" in diagnostic.help
    assert "eliminate-dead" not in diagnostic.help
    assert (diagnostic.primary.span.line, diagnostic.primary.span.column) == (2, 5)


def test_leaving_no_brick_is_refused():
    with pytest.raises(SpecError, match="no brick is left"):
        run_passes(sampling_graph(stack()), (SpecialiseSkips(()), EliminateDead(), RerouteEstimates()))


def test_the_training_graph_returns_every_brick():
    outputs = [line for line in lines(training_graph(stack())) if " = output " in line]
    assert outputs == [f"%output.{id} = output (value=%estimate.{id})" for id in ("windows", "parts", "whole")]
