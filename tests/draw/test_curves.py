"""Curves as SVG."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from legoc.draw.curves import HEAD, LABEL, MAX_CURVES, PLOT_HEIGHT, Curve, Plot, curves_svg, decades, plots_svg, ticks


def heights_of_names(svg: str) -> list[float]:
    return [float(y) for y in re.findall(r'y="([\d.]+)" text-anchor="start" class="t\d"', svg)]


def test_points_stand_where_their_values_are():
    svg = curves_svg("loss", [Curve("a", ((0, 0.0), (50, 1.0), (100, 2.0)))], across="images")
    (path,) = re.findall(r'class="curve c0" d="M([^"]*)"', svg)
    points = [tuple(map(float, point.split())) for point in path.split("L")]
    assert points[0] == (64, HEAD + PLOT_HEIGHT)
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0])
    assert points[1][1] - points[0][1] == pytest.approx(points[2][1] - points[1][1], abs=0.02)


def test_an_axis_over_many_times_its_least_value_is_logarithmic_and_says_so():
    svg = curves_svg("loss", [Curve("a", ((0, 1.0), (50, 0.1), (100, 0.01)))], across="images")
    (path,) = re.findall(r'class="curve c0" d="M([^"]*)"', svg)
    ys = [float(point.split()[1]) for point in path.split("L")]
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1], abs=0.02)
    assert ">logarithmic</text>" in svg


def test_a_horizontal_axis_of_decades_sets_them_equally_far_apart():
    curve = Curve("a", ((0.1, 1.0), (1.0, 1.5), (10.0, 2.0)))
    svg = plots_svg("error", [Plot("error", (curve,), "sigma", decades_across=True)])
    (path,) = re.findall(r'class="curve c0" d="M([^"]*)"', svg)
    xs = [float(point.split()[0]) for point in path.split("L")]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.02)
    assert [f">{mark}</text>" in svg for mark in ("0.1", "1", "10")] == [True, True, True]


def test_names_stand_at_the_ends_and_none_covers_another():
    curves = [Curve(f"c{i}", ((0, 1.0), (1, 0.5 + 0.001 * i))) for i in range(MAX_CURVES)]
    heights = sorted(heights_of_names(curves_svg("loss", curves, across="images")))
    assert len(heights) == MAX_CURVES
    assert all(low + LABEL <= high + 0.01 for low, high in pairwise(heights))
    assert heights[-1] <= HEAD + PLOT_HEIGHT + 4.01


def test_more_curves_than_are_shown_are_counted():
    curves = [Curve(f"c{i}", ((0, 1.0), (1, 0.5))) for i in range(MAX_CURVES + 3)]
    assert "the first 12 of 15" in curves_svg("loss", curves, across="images")


@pytest.mark.parametrize("points", [((5.0, 1.0),), ((5.0, 0.0),), ((0.0, -1.0), (1.0, -1.0))])
def test_a_single_point_zero_and_negative_values_are_drawn(points: tuple[tuple[float, float], ...]):
    assert "nan" not in curves_svg("loss", [Curve("a", points)], across="images")


def test_names_are_text_even_where_xml_has_no_character_for_them():
    svg = curves_svg("loss", [Curve("<a>\x00&", ((0, 1.0), (1, 2.0)))], across="images")
    ElementTree.fromstring(svg)
    assert "&lt;a&gt;&lt;U+0000&gt;&amp;" in svg


def test_ticks_are_round_and_inside():
    assert ticks(0, 28000, 7) == [0, 5000, 10000, 15000, 20000, 25000]
    assert decades(0.2, 2) == pytest.approx([0.2, 0.3, 0.5, 0.7, 1, 2])
    assert decades(0.001, 100) == pytest.approx([0.001, 0.01, 0.1, 1, 10, 100])


def test_the_way_from_a_curve_that_ends_early_to_its_name_is_dashed():
    svg = curves_svg("loss", [Curve("a", ((0, 1.0), (9, 2.0))), Curve("b", ((0, 1.0), (4, 1.0)))], across="images")
    assert re.findall(r'class="(lead[^"]*)"', svg) == ["lead c0", "lead far c1"]


def test_an_axis_near_its_values_says_so_and_tells_them_apart():
    curves = (Curve("a", ((1, 1.1042), (2, 1.1058))),)
    svg = plots_svg("loss", [Plot("loss", curves, "MACs", near=True)])
    assert ">the axis does not begin at 0</text>" in svg
    marks = re.findall(r'text-anchor="end" class="small">([\d.]+)<', svg)
    assert len(marks) >= 3
    assert len(set(marks)) == len(marks)
    (path,) = re.findall(r'class="curve c0" d="M([^"]*)"', svg)
    low, high = (float(point.split()[1]) for point in path.split("L"))
    assert low - high > 0.7 * PLOT_HEIGHT
    # one value alone still has an axis
    assert "nan" not in plots_svg("loss", [Plot("loss", (Curve("a", ((1, 0.0),)),), "MACs", near=True)])
