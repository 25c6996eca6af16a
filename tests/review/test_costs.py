"""Costs side by side, policies step by step, and budgets."""

from __future__ import annotations

import pytest

from legoc.cost.report import price
from legoc.describe import describe_spec
from legoc.review.compare import Added, Pair, Report, compare
from legoc.review.costs import CostRow, Unit, compare_costs
from legoc.review.limits import broken_limits, read_budget
from legoc.review.render.figures import growth
from legoc.review.sides import Side
from legoc_runtime.errors import UsageError
from tests.review.gallery import BASE, ONE, resolved

DEEPER = BASE.replace("depth: 2", "depth: 4")


def spec_side(text: str) -> Side:
    return Side("a.yaml", "spec", "a.yaml", text, resolved(text))


def report(before: str, after: str) -> Report:
    return compare("a", "b", [Pair(spec_side(before), spec_side(after))])


def test_the_figures_are_those_of_legoc_cost() -> None:
    before, after = resolved(BASE), resolved(DEEPER)
    costs = compare_costs(before, after, {id: id for id in before.ids})
    ours, theirs = price(describe_spec(before)[0]), price(describe_spec(after)[0])
    figures = {row.name: (row.before, row.after) for row in costs.rows}
    assert figures["parameters"] == (ours.parameters, theirs.parameters)
    assert figures["a forward pass"] == (ours.macs, theirs.macs)
    assert figures["a training image"] == (ours.training_macs, theirs.training_macs)
    for mine, other in zip(ours.policies, theirs.policies, strict=True):
        assert figures[f"sampling, {mine.policy}"] == (mine.macs, other.macs)
        if mine.policy != "none":
            assert figures[f"saving of {mine.policy}"] == (mine.saving, other.saving)
    assert {row.metric for row in costs.rows} == {"params", "macs", "train", "sample", "weights", "activations", None}
    (sample,) = [row for row in costs.rows if row.metric == "sample"]
    assert sample.name == "sampling, default"
    assert compare_costs(before, before, {}).changed == ()


def test_growth_is_never_nothing_where_something_grew() -> None:
    def grown(after: float, unit: Unit = "bytes", before: float | None = 1e6) -> str:
        return growth(CostRow("x", unit, before, after))

    assert [grown(1e6), grown(1e6 + 1), grown(1.0001e6), grown(2e6), grown(5e5)] == [
        "=",
        "+1",
        "+0.01%",
        "+100.0%",
        "-50.0%",
    ]
    assert (grown(0.25, "share", 0.3), grown(1.0, before=None)) == ("-5.0 pp", "new")


def test_policies_are_compared_step_by_step() -> None:
    text = BASE.replace("steps: 8", "steps: 256")
    before = resolved(text)
    after = resolved(
        text,
        "bricks.whole.skip=progress < 0.2",
        "skip_policies.late.single=sigma > 9",
    )
    same = {id: id for id in before.ids}
    said = [str(shift) for shift in compare_costs(before, after, same).shifts]
    assert said == [
        "`default` now skips whole at 51 of 256 steps, was 76",
        "`late` now skips single at 88 of 256 steps, was 92",
    ]
    moved = resolved(text, "bricks.whole.skip=step < 76")
    (shift,) = compare_costs(before, moved, same).shifts
    assert str(shift) == "`default` skips whole at 76 of 256 steps as before, but at others"
    fewer = compare_costs(before, resolved(BASE), same).shifts
    assert str(fewer[0]) == "`halfway` now skips whole at 4 of 8 steps, was 128 of 256"


@pytest.mark.parametrize(
    ("budget", "broken"),
    [
        ("params<=800M", []),
        ("params<=1k", ["a.yaml: `params<=1k` is broken: 141,740"]),
        ("macs<=+10%", ["a.yaml: `macs<=+10%` is broken: +"]),
        ("macs<=+500%", []),
        ("params <= 1k, sample <= +0.5%", ["a.yaml: `params <= 1k`", "a.yaml: `sample <= +0.5%`"]),
        ("weights<=1B,activations<=1T,train<=+900%", []),
    ],
)
def test_budgets(budget: str, broken: list[str]) -> None:
    found = broken_limits(report(BASE, DEEPER), read_budget(budget))
    assert len(found) == len(broken)
    assert all(sentence.startswith(start) for sentence, start in zip(found, broken, strict=True)), found


def test_sampling_under_another_policy_is_held_against_what_it_did_cost() -> None:
    before = BASE.replace("sample: {", "sample: {skip_policy: halfway, ")
    after = before.replace("skip_policy: halfway", "skip_policy: new").replace(
        "  late:", "  new: {single: step > 6}\n  late:"
    )
    (broken,) = broken_limits(report(before, after), read_budget("sample<=+10%"))
    assert broken.startswith("a.yaml: `sample<=+10%` is broken: +")
    rows = {row.name: row for row in compare_costs(resolved(before), resolved(after), {}).rows}
    told = rows["sampling as the spec says"]
    assert (told.before, told.after) == (rows["sampling, halfway"].before, rows["sampling, new"].after)
    assert [row.name for row in rows.values() if row.metric == "sample"] == [told.name]
    same = {id: id for id in resolved(before).ids}
    assert [str(shift) for shift in compare_costs(resolved(before), resolved(after), same).shifts] == [
        "sampling now follows `new`, which skips single at 1 of 8 steps; `halfway` skipped it at 0",
        "sampling now follows `new`, which skips whole at 0 of 8 steps; `halfway` skipped it at 4",
    ]


def test_a_new_spec_keeps_absolute_limits_and_has_nothing_to_grow_from() -> None:
    found = compare("a", "b", [Added(spec_side(ONE))])
    assert broken_limits(found, read_budget("params<=+1%")) == []
    assert len(broken_limits(found, read_budget("params<=1k"))) == 1


@pytest.mark.parametrize(
    "text", ["", "params", "params<800M", "speed<=3", "params<=10%", "params<=+10", "params<=8x", "params<=1,"]
)
def test_a_budget_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match="is no limit"):
        read_budget(text)
