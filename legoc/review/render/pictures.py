"""What a change looks like: the stack before and after, and the timeline of its sampling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from legoc.describe import describe_spec
from legoc.draw.graph import Mark, make_picture
from legoc.draw.graph_mermaid import graph_mermaid
from legoc.draw.text import timeline_text
from legoc.draw.timeline import make_timeline
from legoc.review.changes import BrickAdded, BrickRemoved, BrickRenamed, ValueChanged
from legoc.review.classify import rank
from legoc.review.compare import Review
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.canvas_request import canvas_of
from legoc_runtime.contract.policy import tabulate
from legoc_runtime.contract.schedule import evaluations, sampling_levels

TIMELINE_COLUMNS = 72

# outlines alone, so that they can be told on a light page and on a dark one
_STYLES = {
    "changed": "stroke:#d29922,stroke-width:3px",
    "new": "stroke:#3fb950,stroke-width:3px",
    "gone": "stroke:#f85149,stroke-width:3px",
}


def graphs(review: Review) -> Iterator[str]:
    """The graph before and after, changed bricks outlined; nothing where the stack itself did not change."""
    if rank(review.impact) < rank("resumable") or review.costs.refusal is not None:
        return
    old, new = marks(review)
    yield (
        "<details><summary>The stack before and after: changed bricks are outlined in amber, new ones in green, "
        "those that go in red</summary>\n\n"
        f"Before\n\n{_graph(review.before.spec, old)}\n\nAfter\n\n{_graph(review.after.spec, new)}\n\n</details>"
    )


def timelines(review: Review) -> Iterator[str]:
    """A policy that leaves bricks out at other steps, before and after: the spec's own if it is one of them."""
    shifted = [shift.policies for shift in review.costs.shifts]
    if not shifted:
        return
    own = review.after.spec.sample.skip_policy
    was, now = next((pair for pair in shifted if pair[1] == own), shifted[0])
    texts = [_timeline(review.before.spec, was), _timeline(review.after.spec, now)]
    if texts[0] != texts[1]:
        yield (
            "<details><summary>Which bricks run at which step, before and after</summary>\n\n"
            f"Before\n\n```text\n{texts[0]}```\n\nAfter\n\n```text\n{texts[1]}```\n\n</details>"
        )


def marks(review: Review) -> tuple[dict[str, Mark], dict[str, Mark]]:
    """Brick id -> how it is outlined, before and after."""
    before: dict[str, Mark] = {}
    after: dict[str, Mark] = {}
    for verdict in review.verdicts:
        match verdict.change:
            case BrickRemoved(before=value):
                before[value.text] = "gone"
            case BrickAdded(after=value):
                after[value.text] = "new"
            case BrickRenamed(before=was, after=now):
                before[was.text] = after[now.text] = "changed"
            case ValueChanged(brick=(mine, other)) if rank(verdict.impact) >= rank("resumable"):
                before[mine] = after[other] = "changed"
            case _:
                pass
    return before, after


def _graph(spec: StackSpec, outlined: Mapping[str, Mark]) -> str:
    picture = make_picture(spec.name, spec.shape, [(spec.shape.ids, "")])
    lines = [f"    classDef {name} {style}" for name, style in _STYLES.items() if name in outlined.values()]
    lines += [f"    class c0b{spec.shape.ids.index(id)} {name}" for id, name in outlined.items()]
    return "```mermaid\n" + graph_mermaid(picture) + "".join(f"{line}\n" for line in lines) + "```"


def _timeline(spec: StackSpec, policy: str) -> str:
    manifest, _ = describe_spec(spec)
    levels = sampling_levels(spec.sample, spec.shape.diffusion)
    table = tabulate(manifest.policy(policy), spec.shape.ids, levels)
    calls = evaluations(spec.sample.sampler, spec.sample.steps)
    canvas = canvas_of(spec.shape, spec.sample)
    return timeline_text(make_timeline(spec.name, spec.shape, table, calls, canvas), width=TIMELINE_COLUMNS)
