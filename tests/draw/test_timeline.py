"""Timelines: what they say, and that what they draw is what the truth table holds."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from legoc.cost import brick_macs, macs
from legoc.draw.svg import MIN_ROW, PLOT_HEIGHT, row_heights, timeline_svg
from legoc.draw.text import ASCII, row_lines, timeline_text
from legoc.draw.timeline import Timeline, make_timeline, sigma_text, ticks
from legoc_runtime.contract.policy import Policy, tabulate
from legoc_runtime.contract.predicate import Compare, Logic, Name, Number
from legoc_runtime.contract.schedule import edm_levels, heun_evaluations
from legoc_runtime.contract.stack import EdmConstants
from tests.sampling.fakes import LATE, shape

SVG = "{http://www.w3.org/2000/svg}"
FLICKER = Policy(
    "flicker",
    (
        ("image", Logic("or", tuple(Compare(Name("step"), (("==", Number(i)),)) for i in range(1, 40, 2)))),
        ("parts", Compare(Name("sigma"), (("<", Number(1)),))),
    ),
)


def draw(policy: Policy, steps: int = 18) -> Timeline:
    levels = edm_levels(steps, EdmConstants())
    return make_timeline("emoji", shape(), tabulate(policy, shape().ids, levels), heun_evaluations(steps))


def test_the_share_of_a_thin_row_stands_beside_its_name() -> None:
    whole = draw(LATE)
    timeline = replace(
        whole, rows=tuple(replace(row, share=0.01) if i == 0 else row for i, row in enumerate(whole.rows))
    )
    svg = ElementTree.fromstring(timeline_svg(timeline))
    texts = {element.text: element for element in svg.iter("{http://www.w3.org/2000/svg}text")}
    thin = [row for row in timeline.rows if f"{row.share:.1%}" in texts]
    assert thin
    for row in thin:
        name, share = texts[row.brick], texts[f"{row.share:.1%}"]
        assert name.get("text-anchor") == share.get("text-anchor") == "end"
        assert name.get("y") == share.get("y")
        assert 30 < float(share.get("x", 0)) - float(name.get("x", 0)) < 50
    assert any("shares are of one evaluation" in (text or "") for text in texts)


def test_the_saving_counts_evaluations_and_corrections_belong_to_their_level():
    timeline = draw(LATE)
    table = tabulate(LATE, shape().ids, timeline.levels)
    off = table.skipped("image")
    # each level is evaluated twice, by the correction of the step before and its own predictor, but for the first
    share = brick_macs(shape().brick("image")) / macs(shape())
    assert timeline.saved == pytest.approx(share * 2 * off / 35)
    assert draw(Policy("none")).saved == 0


def test_text_shows_the_steps_at_which_a_brick_is_left_out():
    lines = timeline_text(draw(LATE), width=80, marks=ASCII).splitlines()
    strips = {line.split()[0]: line.split()[-1] for line in lines if "%  " in line}
    assert list(strips) == ["image", "parts", "windows"]
    assert strips["image"] == "###" * 12 + "..." * 6
    assert strips["windows"] == "###" * 18
    assert "step 12, sigma 0.296: image off" in lines[-1]
    assert all(ord(character) < 128 for line in lines for character in line)


def test_text_gives_a_brick_lines_by_its_share_of_the_cost():
    assert [row_lines(share, 3) for share in (0.68, 0.23, 0.09)] == [4, 1, 1]
    assert row_lines(0.5, 100) == 12
    timeline = draw(LATE)
    body = timeline_text(timeline, width=80, marks=ASCII).splitlines()[3:]
    rows = body[: next(i for i, line in enumerate(body) if line.startswith("step"))]
    for row in timeline.rows:
        mark = "###" * 12 + "..." * 6 if row.brick == "image" else "#" * 54
        drawn = [line for line in rows if line.endswith(mark)]
        expected = [other for other in timeline.rows if (other.brick == "image") == (row.brick == "image")]
        assert len(drawn) == sum(row_lines(other.share, 3) for other in expected)


def test_text_squeezes_long_schedules_and_marks_columns_with_both_states():
    text = timeline_text(draw(FLICKER, steps=256), width=60, marks=ASCII)
    line = next(line for line in text.splitlines() if line.startswith("image"))
    strip = line.split()[-1]
    assert 50 <= len(line) <= 60
    assert strip.startswith("+")
    assert strip.endswith("#")
    assert "more" in text


def test_svg_is_filled_where_a_brick_runs():
    svg = ElementTree.fromstring(timeline_svg(draw(LATE)))
    boxes = [
        (box.get("class"), float(box.get("x", 0)), float(box.get("width", 0)), float(box.get("y", 0)))
        for box in svg.iter(f"{SVG}rect")
        if box.get("class") in ("runs", "skipped")
    ]
    rows = sorted({round(y) for *_, y in boxes})
    top = [(kind, x, width) for kind, x, width, y in boxes if round(y) == rows[0]]
    assert [kind for kind, *_ in top] == ["runs", "skipped"]
    assert top[0][2] / (top[0][2] + top[1][2]) == pytest.approx(12 / 18, abs=0.01)
    assert [kind for kind, *_, y in boxes if round(y) != rows[0]] == ["runs", "runs"]
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    assert {"σ 0.296: image off", "step", "noise level σ", "80", "0.002"} <= set(texts)


def test_svg_is_self_contained_escaped_and_adapts_to_dark_pages():
    text = timeline_svg(draw(Policy("<b>&", LATE.skips)))
    assert "&lt;b&gt;&amp;" in text
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    said = ElementTree.fromstring(text).findtext(f"{SVG}desc") or ""
    assert "windows: " in said
    assert "step 12, σ 0.296: image off" in said


def test_labels_of_breaks_do_not_cover_each_other_and_none_is_dropped_in_silence():
    svg = ElementTree.fromstring(timeline_svg(draw(FLICKER, steps=40)))
    labels = [text for text in svg.iter(f"{SVG}text") if text.get("class") == "at"]
    by_line: dict[str, list[tuple[float, int]]] = {}
    for label in labels:
        by_line.setdefault(label.get("y", ""), []).append((float(label.get("x", 0)), len(label.text or "")))
    for line in by_line.values():
        for (x, length), (next_x, _) in zip(sorted(line), sorted(line)[1:], strict=False):
            assert x + 5 * length < next_x
    breaks = len({found.step for found in draw(FLICKER, steps=40).breaks})
    assert len(labels) < breaks
    assert any(f"{breaks - len(labels)} further breaks" in (text.text or "") for text in svg.iter(f"{SVG}text"))


def test_rows_are_as_high_as_their_share_but_never_too_low():
    assert row_heights([0.25, 0.75]) == pytest.approx([0.25 * PLOT_HEIGHT, 0.75 * PLOT_HEIGHT])
    heights = row_heights([0.01, 0.59, 0.4])
    assert heights[0] == MIN_ROW
    assert sum(heights) == pytest.approx(PLOT_HEIGHT)
    assert min(row_heights([0.02] * 50)) >= MIN_ROW


def test_ticks_always_show_the_ends():
    for steps in (2, 3, 18, 40, 256, 1000, 99_999):
        shown = ticks(steps, 16)
        assert shown[0] == 0
        assert shown[-1] == steps - 1
        assert len(shown) <= 17


def test_noise_levels_are_short():
    assert [sigma_text(sigma) for sigma in (80.0, 2.5152, 0.296, 0.00204, 157.4)] == [
        "80",
        "2.52",
        "0.296",
        "0.00204",
        "157",
    ]


def test_drawing_needs_no_torch():
    code = "import sys, legoc.draw.svg, legoc.draw.text; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
