"""Graphs: what they show is what the passes made, in three languages."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
import torch

from legoc.draw.graph import GraphPicture, configuration_of, graphs_after, make_picture, policy_configurations
from legoc.draw.graph_dot import graph_dot
from legoc.draw.graph_dot import quoted as dot_quoted
from legoc.draw.graph_mermaid import graph_mermaid
from legoc.draw.graph_mermaid import quoted as mermaid_quoted
from legoc.draw.graph_svg import BAR_LEFT, BAR_RIGHT, CARD_LEFT, WIDTH, graph_svg
from legoc.draw.graph_windows import cuts, fit, marked_window
from legoc_runtime.contract.policy import Policy, builtin_policy, tabulate
from legoc_runtime.contract.predicate import Compare, Logic, Name, Number
from legoc_runtime.contract.schedule import edm_levels
from legoc_runtime.contract.stack import EdmConstants, StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.layers.patching import window_mask
from tests.lower.test_above import above
from tests.sampling.fakes import shape as three_bricks

SVG = "{http://www.w3.org/2000/svg}"
WIDEST_CHARACTER = 7.6
"""Pixels of an average character of the type of 13 pixels, generously."""


def draw(configuration: str = "", shape: StackShape | None = None) -> GraphPicture:
    shape = shape or three_bricks()
    return make_picture("stack", shape, [(configuration_of(shape, configuration or "+".join(shape.ids)), "")])


def named(*ids: str) -> StackShape:
    """A stack of such bricks; any text is an id here, as no spec was checked."""
    shape = three_bricks()
    bricks = tuple(replace(shape.bricks[min(i, 1)], id=id, takes_estimate=i > 0) for i, id in enumerate(ids))
    return replace(shape, bricks=bricks)


@pytest.mark.parametrize("carry", ["x0", "raw"])
def test_a_model_above_stands_in_its_place_and_begins_from_an_estimate(carry):
    shape = above(replace(three_bricks(), carry=carry), 2)
    picture = draw(shape=shape)
    (panel,) = picture.panels
    assert [brick.shape.id for brick in panel.bricks] == ["windows", "parts", "given", "image"]
    assert [brick.reads for brick in panel.bricks] == [None, "windows", "parts", "given"]
    assert picture.carried(panel.bricks[2]) == "estimate"
    assert picture.carried(panel.bricks[3]) == ("estimate" if carry == "x0" else "network output")
    assert "from 0.4 σ on" in graph_mermaid(picture)
    (alone,) = draw("given+image", shape).panels
    assert [(brick.reads, brick.reads_zeros) for brick in alone.bricks if brick.runs] == [
        (None, False),
        ("given", False),
    ]
    (top,) = draw("windows+parts+given", above(replace(three_bricks(), carry=carry), 3)).panels
    assert top.output == "given"


@pytest.mark.parametrize("carry", ["x0", "raw"])
@pytest.mark.parametrize(
    ("configuration", "reads", "output"),
    [
        ("windows+parts+image", {"windows": None, "parts": "windows", "image": "parts"}, "image"),
        ("windows+image", {"windows": None, "image": "windows"}, "image"),
        ("windows+parts", {"windows": None, "parts": "windows"}, "parts"),
        ("image", {"image": "zeros"}, "image"),
        ("windows", {"windows": None}, "windows"),
    ],
)
def test_a_brick_reads_the_nearest_one_below_that_runs(configuration, reads, output, carry):
    (panel,) = draw(configuration, replace(three_bricks(), carry=carry)).panels
    found = {b.shape.id: "zeros" if b.reads_zeros else b.reads for b in panel.bricks if b.runs}
    assert found == reads
    assert panel.output == output
    assert set(panel.skipped) == set(three_bricks().ids) - set(reads)
    assert panel.share == pytest.approx(1 - sum(b.share for b in panel.bricks if not b.runs))


def test_names_of_configurations_are_put_in_order_and_checked():
    assert configuration_of(three_bricks(), "image + windows") == ("windows", "image")
    with pytest.raises(UsageError, match="no brick `imag`"):
        configuration_of(three_bricks(), "windows+imag")
    for text in ("", "+", "image+image"):
        with pytest.raises(UsageError, match="is not a configuration"):
            configuration_of(three_bricks(), text)


def test_a_policy_is_drawn_with_the_noise_levels_of_each_configuration():
    shape = three_bricks()
    policy = builtin_policy("halfway", shape.bricks)
    assert policy is not None
    found = policy_configurations(tabulate(policy, shape.ids, edm_levels(18, EdmConstants())))
    assert found == [
        (("windows", "parts", "image"), "policy halfway: steps 0-8 (σ 80 to 3.26)"),
        (("windows", "parts"), "policy halfway: steps 9-17 (σ 1.92 to 0.002)"),
    ]
    picture = make_picture("stack", shape, found)
    svg = ElementTree.fromstring(graph_svg(picture))
    assert sum(box.get("class") == "ghost" for box in svg.iter(f"{SVG}rect")) == 1
    assert sum(box.get("class") == "card" for box in svg.iter(f"{SVG}rect")) == 5
    assert graph_mermaid(picture).count("subgraph ") == graph_dot(picture).count("subgraph ") == 2


def test_a_flickering_policy_says_how_often_and_too_many_configurations_are_refused():
    odd = Logic("or", tuple(Compare(Name("step"), (("==", Number(i)),)) for i in range(1, 18, 2)))
    table = tabulate(Policy("flicker", (("image", odd),)), three_bricks().ids, edm_levels(18, EdmConstants()))
    assert policy_configurations(table)[1][1].endswith("step 5 (σ 12.9) and 6 further stretches")
    with pytest.raises(UsageError, match="9 configurations"):
        make_picture("stack", three_bricks(), [(("image",), "")] * 9)


def test_svg_shows_windows_tokens_and_shares():
    picture = draw()
    svg = ElementTree.fromstring(graph_svg(picture))
    bricks = [brick.shape for brick in picture.panels[0].bricks]
    for kind, sides in (
        ("cut", [brick.windows_down_and_across for brick in bricks]),
        ("token", [brick.tokens_down_and_across for brick in bricks]),
    ):
        drawn = [path.get("d", "").count("M") for path in svg.iter(f"{SVG}path") if path.get("class") == kind]
        assert drawn == [lines for down, across in sides if (lines := down - 1 + across - 1)]
    widths = [float(box.get("width", 0)) for box in svg.iter(f"{SVG}rect") if box.get("class") == "share"]
    shares = [brick.share for brick in picture.panels[0].bricks]
    assert widths == pytest.approx([share * (BAR_RIGHT - BAR_LEFT) for share in shares], abs=2)
    said = svg.findtext(f"{SVG}desc") or ""
    assert "image: 1 window, the whole grid" in said
    assert "reads the parts brick" in said


def test_svg_draws_the_way_past_a_ghost_and_nothing_into_it():
    svg = ElementTree.fromstring(graph_svg(draw("windows+image")))
    (ghost,) = [box for box in svg.iter(f"{SVG}rect") if box.get("class") == "ghost"]
    top, bottom = float(ghost.get("y", 0)), float(ghost.get("y", 0)) + float(ghost.get("height", 0))
    (bypass,) = [path.get("d", "") for path in svg.iter(f"{SVG}path") if path.get("class") == "bypass"]
    leftmost = min(float(x) for x in re.findall(r"[HQ](\d+\.?\d*)", bypass))
    assert leftmost < CARD_LEFT
    ends = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)", bypass)] + [float(re.findall(r"V([\d.]+)", bypass)[-1])]
    assert ends[0] > bottom > top > ends[1]
    rails = [path.get("d", "") for path in svg.iter(f"{SVG}path") if path.get("class") == "rail"]
    heights = [float(found[1]) for d in rails if (found := re.fullmatch(r"M\d+ ([\d.]+)H\d+", d))]
    assert len(heights) == 4
    assert not [y for y in heights if top <= y <= bottom]


def test_svg_text_stays_inside_and_long_or_odd_names_do_no_harm():
    shape = named("a" * 64, "<b>&\"'")
    shown = [(shape.ids, "policy p: steps 0-7 (σ 80 to 0.658)" * 9), (shape.ids[1:], "")]
    text = graph_svg(make_picture("<stack>", shape, shown))
    svg = ElementTree.fromstring(text)
    for element in svg.iter(f"{SVG}text"):
        x, length = float(element.get("x", 0)), WIDEST_CHARACTER * len(element.text or "")
        left = {"start": x, "middle": x - length / 2, "end": x - length}[element.get("text-anchor", "")]
        assert left >= 0, element.text
        assert left + length <= WIDTH, element.text
    assert "a" * 27 + "…" in text
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_shifted_windows_are_drawn_where_the_stack_has_them():
    brick = replace(three_bricks().bricks[1], offset=(1, 3))
    height, width = brick.grid
    mask = window_mask(torch.tensor([[0]]), brick.grid, brick.window, brick.offset)[0, 0]
    rows, columns = mask.any(1).nonzero().flatten().tolist(), mask.any(0).nonzero().flatten().tolist()
    assert marked_window(brick) == (rows[0], columns[0])
    assert {rows[0], rows[-1] + 1} <= set(cuts(height, brick.window[0], 1))
    assert {columns[0], columns[-1] + 1} <= set(cuts(width, brick.window[1], 3))
    assert cuts(16, 4, 0) == [4, 8, 12]
    assert fit((16, 32)) == (44.0, 88.0)


def test_mermaid_draws_edges_ghosts_and_zeros():
    text = graph_mermaid(draw("windows+image"))
    assert text.startswith("---\ntitle: ")
    assert 'c0b0 ==>|"estimate, past parts"| c0b2' in text
    assert re.search(r'c0b1\["parts: left out<br>[\d.]+% of the MACs"\]:::ghost', text)
    assert len(re.findall(r"c0x --> c0b\d", text)) == len(re.findall(r"c0c -\.-> c0b\d", text)) == 2
    assert "zeros" in graph_mermaid(draw("parts+image"))
    assert "network output" in graph_mermaid(draw("", replace(three_bricks(), carry="raw")))


def test_names_cannot_break_out_of_their_quotes():
    assert mermaid_quoted('a"] --> x; <b>#`') == '"a#34;#93; --#62; x; #60;b#62;#35;#96;"'
    assert dot_quoted('a"\\\nb') == '"a\\"\\\\\\nb"'
    shape = named('end"]', "x\nclick")
    picture = make_picture('s"\n---', shape, [(shape.ids, "")])
    assert graph_mermaid(picture).splitlines()[1:3] == ['title: "s\\"\\n---"', "---"]
    assert all(line.count('"') % 2 == 0 for line in graph_mermaid(picture).splitlines()[3:])


def test_mermaid_is_refused_where_viewers_would_not_draw_it():
    shape = named(*(f"brick_{i}" for i in range(64)))
    assert len(graph_mermaid(make_picture("long", shape, [(shape.ids, "")]))) < 40_000
    with pytest.raises(UsageError, match="characters"):
        graph_mermaid(make_picture("longer", shape, [(shape.ids, "")] * 4))


def test_dot_shows_the_same():
    text = graph_dot(draw("parts+image"))
    assert '"c0.brick.parts" -> "c0.brick.image" [label=" estimate", penwidth=2];' in text
    assert '"c0.zeros.parts" -> "c0.brick.parts";' in text
    assert 'style="rounded,dashed"' in text
    assert text.count("{") == text.count("}")


def test_text_after_a_pass():
    ((name, text),) = graphs_after(three_bricks(), ("windows", "image"), "specialise-skips")
    assert name == "specialise-skips"
    assert "bypass @parts (below=%estimate.windows)" in text
    steps = [name for name, _ in graphs_after(three_bricks(), ("windows", "image"), "all")]
    assert steps == ["infer-shapes", "specialise-skips", "eliminate-dead", "reroute-estimates"]
    with pytest.raises(UsageError, match="no pass `fuse`"):
        graphs_after(three_bricks(), ("image",), "fuse")


def test_drawing_needs_no_torch():
    modules = "legoc.draw.graph_svg, legoc.draw.graph_mermaid, legoc.draw.graph_dot"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
