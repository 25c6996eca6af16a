"""Pictures of `legoc.draw` for a spec, as figures of a page."""

from __future__ import annotations

from collections.abc import Mapping

from legoc.describe import describe_spec
from legoc.draw.graph import Mark, make_picture
from legoc.draw.graph_svg import graph_svg
from legoc.draw.svg import timeline_svg
from legoc.draw.timeline import make_timeline
from legoc.report.html import Html
from legoc.report.parts import picture
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.canvas_request import canvas_of
from legoc_runtime.contract.policy import tabulate
from legoc_runtime.contract.schedule import evaluations, sampling_levels


def graph_figure(spec: StackSpec, caption: str | None = None, marks: Mapping[str, Mark] | None = None) -> Html:
    """The stack in full.

    Args:
        spec: the spec.
        caption: what stands under it.
        marks: brick id -> what a comparison says of it.
    """
    drawn = make_picture(spec.name, spec.shape, [(spec.shape.ids, "")])
    return picture(graph_svg(drawn, marks), caption)


def timeline_figure(spec: StackSpec, policy: str, caption: str | None = None) -> Html:
    """Which brick runs at which step of the spec's schedule under a policy."""
    manifest, _ = describe_spec(spec)
    levels = sampling_levels(spec.sample, spec.shape.diffusion)
    table = tabulate(manifest.policy(policy), spec.shape.ids, levels)
    calls = evaluations(spec.sample.sampler, spec.sample.steps)
    canvas = canvas_of(spec.shape, spec.sample)
    return picture(timeline_svg(make_timeline(spec.name, spec.shape, table, calls, canvas)), caption)
