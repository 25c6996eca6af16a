"""Graphs in DOT as Graphviz lays them out."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from legoc.__main__ import main
from legoc.draw.graph import make_picture
from legoc.draw.graph_dot import graph_dot
from tests.sampling.fakes import shape as three_bricks

pytestmark = pytest.mark.graphviz

SPECS = Path(__file__).parents[2] / "specs"


class Node(NamedTuple):
    """A node where Graphviz put it; inches, from the lower left corner."""

    x: float
    y: float
    width: float
    height: float
    label: str


class Layout(NamedTuple):
    """A picture: nodes by name, edges as pairs of names."""

    nodes: dict[str, Node]
    edges: set[tuple[str, str]]


def laid_out(text: str) -> Layout:
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [shlex.split(line) for line in done.stdout.replace("\\\n", "").splitlines()]
    nodes = {row[1]: Node(*map(float, row[2:6]), label=row[6]) for row in lines if row[0] == "node"}
    return Layout(nodes, {(row[1], row[2]) for row in lines if row[0] == "edge"})


def overlap(one: Node, other: Node) -> bool:
    return 2 * abs(one.x - other.x) < one.width + other.width and 2 * abs(one.y - other.y) < one.height + other.height


@pytest.mark.parametrize(
    ("spec", "more", "panels"),
    [
        ("lego_u_xl", [], 1),
        ("emoji_32", ["--skip-policy", "halfway"], 2),
        ("emoji_32", ["--skip-policy", "lean"], 4),
        ("dit_xl_2", [], 1),
    ],
)
def test_bricks_stand_bottom_to_top_and_nothing_overlaps(
    spec: str, more: list[str], panels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graph", str(SPECS / f"{spec}.yaml"), "--format", "dot", *more]) == 0
    nodes, edges = laid_out(capsys.readouterr().out)
    for number in range(panels):
        own = {name: node for name, node in nodes.items() if name.startswith(f"c{number}.")}
        bricks = [node for name, node in own.items() if ".brick." in name]
        assert bricks
        assert [node.y for node in bricks] == sorted(node.y for node in bricks)
        assert own[f"c{number}.image"].y < bricks[0].y
        assert bricks[-1].y < own[f"c{number}.output"].y
    assert not any(name.startswith(f"c{panels}.") for name in nodes)
    placed = list(nodes.values())
    assert not [(a.label, b.label) for i, a in enumerate(placed) for b in placed[:i] if overlap(a, b)]
    assert {name for edge in edges for name in edge} == set(nodes)


def test_words_survive_graphviz_whatever_they_hold() -> None:
    shape = three_bricks()
    text = graph_dot(make_picture('a "stack" \\ {of} <bricks>;', shape, [(("windows", "image"), 'steps "0-3" \\n |')]))
    nodes, edges = laid_out(text)
    assert nodes["c0.brick.parts"].label.startswith("parts: left out")
    assert ("c0.brick.windows", "c0.brick.image") in edges
