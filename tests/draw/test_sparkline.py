"""Curves as lines of a terminal."""

from __future__ import annotations

from legoc.draw.curves import Curve, Plot
from legoc.draw.sparkline import ASCII, NARROWEST, plots_text

FALLING = Curve("image", tuple((float(x), 8.0 - x) for x in range(8)))


def test_a_course_has_a_character_for_every_height_and_the_values_beside_it():
    text = plots_text([Plot("Loss", (FALLING,), "images")], width=len("image") + 8 + 4 * 2 + 14)
    title, head, line = text.splitlines()
    assert title == "Loss, 0 to 7 images, logarithmic"
    assert head.split() == ["first", "least", "last"]
    assert line.split() == ["image", "██▇▆▆▅▃▁", "8", "1", "1"]


def test_curves_of_a_plot_share_one_scale_and_leave_blanks_where_they_have_no_points():
    late = Curve("late", ((4.0, 8.0), (7.0, 8.0)))
    lines = plots_text([Plot("Loss", (FALLING, late), "images")], width=1, levels=ASCII).splitlines()
    course = lines[-1].removeprefix("late   ")[:NARROWEST]
    assert course == "    %%%%"


def test_one_point_and_equal_values_are_drawn():
    text = plots_text([Plot("Loss", (Curve("a", ((5.0, 0.0),)), Curve("b", ((5.0, 0.0),))), "images")], width=60)
    assert "nan" not in text
    assert text.count("▁") > 1


def test_control_characters_in_names_do_not_reach_the_terminal():
    assert "\x1b" not in plots_text([Plot("Loss", (Curve("\x1b[2J", ((0.0, 1.0),)),), "images")], width=60)
