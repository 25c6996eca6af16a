"""The graph of a stack in the DOT language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from legoc.draw.graph import GraphPicture, Panel, brick_lines


def graph_dot(picture: GraphPicture) -> str:
    """The picture as a DOT digraph, bottom to top; several configurations as clusters."""
    lines = [
        f"digraph {quoted(picture.stack)} {{",
        '    graph [rankdir=BT, fontname="sans-serif"];',
        '    node [shape=box, style=rounded, fontname="sans-serif", fontsize=11];',
        '    edge [fontname="sans-serif", fontsize=10];',
    ]
    for number, panel in enumerate(picture.panels):
        lines += [f"    {line}" for line in _panel(picture, panel, number)]
    return "\n".join([*lines, "}"]) + "\n"


def quoted(text: str) -> str:
    """A text as a DOT string, with line breaks as escapes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _panel(picture: GraphPicture, panel: Panel, number: int) -> Iterator[str]:
    body = list(_body(picture, panel, f"c{number}."))
    yield f"subgraph cluster_{number} {{"
    title = f"{panel.when}, {panel.summary}" if panel.when else panel.summary
    yield f"    label={quoted(title)}; labelloc=b; style=rounded;"  # bottom to top, `b` is the upper edge
    yield from (f"    {line}" for line in body)
    yield "}"


def _body(picture: GraphPicture, panel: Panel, prefix: str) -> Iterator[str]:
    def node(name: str) -> str:
        return quoted(prefix + name)

    yield f"{node('image')} [label={quoted('noisy image, scaled to unit variance')}, shape=oval];"
    yield f"{node('condition')} [label={quoted(f'conditioning: {picture.conditioning}')}, shape=oval];"
    yield f"{node('output')} [label={quoted('estimate of the clean image')}, shape=oval];"
    for brick in panel.bricks:
        own = node(f"brick.{brick.shape.id}")
        if not brick.runs:
            label = quoted(f"{brick.shape.id}: left out\n{brick.share:.1%} of the MACs")
            yield f'{own} [label={label}, style="rounded,dashed", color=gray50, fontcolor=gray40];'
            if brick is panel.bricks[0]:  # nothing else would keep it above the inputs
                yield f"{{{node('image')} {node('condition')}}} -> {own} [style=invis];"
            continue
        label = quoted("\n".join([brick.shape.id, *brick_lines(brick), f"{brick.share:.1%} of the MACs"]))
        yield f"{own} [label={label}];"
        yield f"{node('image')} -> {own};"
        yield f"{node('condition')} -> {own} [style=dashed];"
        if brick.reads_zeros:
            zeros = node(f"zeros.{brick.shape.id}")
            yield f"{zeros} [label={quoted('zeros: no brick below runs')}, shape=plaintext];"
            yield f"{zeros} -> {own};"
        if brick.reads is not None:
            yield f"{node(f'brick.{brick.reads}')} -> {own} [label={quoted(f' {picture.carried(brick)}')}, penwidth=2];"
    for low, high in panel.bypasses:  # through what is left out, which also keeps it at its place
        yield f"{node(f'brick.{low}')} -> {node(f'brick.{high}')} [style=dotted, arrowhead=none, color=gray50];"
    if not panel.bricks[-1].runs:
        ghost = node(f"brick.{panel.bricks[-1].shape.id}")
        yield f"{ghost} -> {node('output')} [style=dotted, arrowhead=none, color=gray50];"
    yield f"{node(f'brick.{panel.output}')} -> {node('output')} [label={quoted(' estimate')}, penwidth=2];"
