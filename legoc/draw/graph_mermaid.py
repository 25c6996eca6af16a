"""The graph of a stack as Mermaid, which GitHub and many other sites draw inside Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from legoc.draw.graph import DrawnBrick, GraphPicture, Panel, brick_lines
from legoc_runtime.errors import UsageError

MAX_CHARACTERS = 40_000
"""Mermaid draws texts up to 50,000 characters by default."""

_SPECIAL = re.compile(r"[^\w .,;:+\-×σ%()/=·]")


def graph_mermaid(picture: GraphPicture) -> str:
    """The picture as a Mermaid flowchart, bottom to top; several configurations as subgraphs.

    Colours are left to the page's theme, so that it is legible on light and dark.

    Raises:
        UsageError: the text would be longer than `MAX_CHARACTERS`.
    """
    lines = [
        "---",
        f"title: {json.dumps(_title(picture), ensure_ascii=False)}",
        "---",
        "flowchart BT",
        *(f"    {line}" for number, panel in enumerate(picture.panels) for line in _panel(picture, panel, number)),
        "    classDef ghost stroke-dasharray:5 5,fill:none",
    ]
    text = "\n".join(lines) + "\n"
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"the Mermaid text would have {len(text):,} characters, and viewers draw up to 50,000",
            help="draw fewer configurations, or use --format svg",
        )
    return text


def quoted(text: str) -> str:
    """A text as a Mermaid string: what is not plain becomes a character entity, `#34;` for a double quote."""
    return '"' + _SPECIAL.sub(lambda found: f"#{ord(found.group())};", text) + '"'


def _title(picture: GraphPicture) -> str:
    only = picture.panels[0]
    return f"{picture.stack}: {only.summary}" if len(picture.panels) == 1 and only.skipped else picture.stack


def _panel(picture: GraphPicture, panel: Panel, number: int) -> Iterator[str]:
    body = list(_body(picture, panel, f"c{number}"))
    if len(picture.panels) == 1 and not panel.when:
        yield from body
        return
    yield f"subgraph c{number}[{quoted(f'{panel.when}, {panel.summary}')}]"
    yield "    direction BT"
    yield from (f"    {line}" for line in body)
    yield "end"


def _body(picture: GraphPicture, panel: Panel, prefix: str) -> Iterator[str]:
    nodes = {brick.shape.id: f"{prefix}b{i}" for i, brick in enumerate(panel.bricks)}
    yield f"{prefix}x([{quoted('noisy image, scaled to unit variance')}])"
    yield f"{prefix}c([{quoted(f'conditioning: {picture.conditioning}')}])"
    for brick in panel.bricks:
        ghost = "" if brick.runs else ":::ghost"
        yield f"{nodes[brick.shape.id]}[{_label(brick)}]{ghost}"
    yield f"{prefix}o([{quoted('estimate of the clean image')}])"
    for brick in panel.bricks:
        node = nodes[brick.shape.id]
        if not brick.runs:
            continue
        yield f"{prefix}x --> {node}"
        yield f"{prefix}c -.-> {node}"
        if brick.reads_zeros:
            yield f"{node}z([{quoted('zeros: no brick below runs')}]) --> {node}"
        if brick.reads is not None:
            words = _handed_on(panel, picture.carried(brick), brick.reads, brick.shape.id)
            yield f"{nodes[brick.reads]} ==>|{words}| {node}"
    yield from (f"{nodes[low]} -.- {nodes[high]}" for low, high in panel.bypasses)  # keeps ghosts at their place
    if not panel.bricks[-1].runs:
        yield f"{nodes[panel.bricks[-1].shape.id]} -.- {prefix}o"
    words = _handed_on(panel, "estimate", panel.output, None)
    yield f"{nodes[panel.output]} ==>|{words}| {prefix}o"


def _handed_on(panel: Panel, carried: str, source: str, reader: str | None) -> str:
    """What goes along an edge, with the bricks that it goes past; `reader` None is the output."""
    past = panel.passed(source, reader)
    return quoted(f"{carried}, past {', '.join(past)}" if past else carried)


def _label(brick: DrawnBrick) -> str:
    if not brick.runs:
        lines = [f"{brick.shape.id}: left out", f"{brick.share:.1%} of the MACs"]
    else:
        lines = [brick.shape.id, *brick_lines(brick), f"{brick.share:.1%} of the MACs"]
    return '"' + "<br>".join(quoted(line)[1:-1] for line in lines) + '"'
