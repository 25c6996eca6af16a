"""Sweeps over a spec, and the pictures of their points."""

from __future__ import annotations

import pytest

from legoc.study.sweep import StackPoint, parse_sweeps, plots, stacks, tables
from legoc_runtime.errors import UsageError


def point(depth: str, size: str, macs: int, loss: float | None) -> StackPoint:
    values = {"a.depth": depth, "a.size": size}
    return StackPoint(values, 10, macs, 3 * macs, 64, 1.5, 8, loss, {"a": 0.5, "b": loss}, {"low": 0.1, "high": None})


def test_every_combination_is_a_stack_of_overrides():
    found = stacks(parse_sweeps(["a.depth=1,2", "b.size=4, image"]))
    assert [stack.key for stack in found] == [
        "a.depth=1,b.size=4",
        "a.depth=1,b.size=image",
        "a.depth=2,b.size=4",
        "a.depth=2,b.size=image",
    ]
    assert found[1].overrides == ("bricks.a.depth=1", "bricks.b.size=image")
    assert stacks(parse_sweeps(["a.skip=sigma < 1/3"]))[0].folder == "a.skip=sigma___1_3"


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        ([], "nothing to sweep"),
        (["depth=1"], "expected ID.KEY"),
        (["a.depth="], "expected ID.KEY"),
        (["a.depth=1,,2"], "expected ID.KEY"),
        (["a.depth=1,1"], "given twice"),
        (["a.depth=1", "a.depth=2"], "swept twice"),
    ],
)
def test_what_is_no_sweep(texts: list[str], word: str):
    with pytest.raises(UsageError, match=word):
        parse_sweeps(texts)


def test_a_sweep_of_hundreds_is_refused():
    values = ",".join(map(str, range(1, 10)))
    with pytest.raises(UsageError, match="81 stacks"):
        stacks(parse_sweeps([f"a.depth={values}", f"b.depth={values}"]))


def test_curves_run_over_cost_and_miss_what_is_not_known():
    points = [point("2", "4", 200, 0.2), point("1", "4", 100, 0.3), point("1", "8", 150, None)]
    top, by_brick, by_noise = plots(points, "said")
    assert [(curve.label, curve.points) for curve in top.curves] == [("a.size=4", ((100.0, 0.3), (200.0, 0.2)))]
    assert [curve.label for curve in by_brick.curves] == ["a", "b"]
    # over the cheapest stack's
    assert [(curve.label, curve.points) for curve in by_noise.curves] == [
        ("low", ((100.0, 1.0), (150.0, 1.0), (200.0, 1.0)))
    ]
    costs, noise = tables(points)
    assert costs.rows[2][-1] == "-"
    assert costs.markdown().startswith("| a.depth | a.size | parameters |")
    assert noise.head == ("a.depth", "a.size", "low", "high")
