"""Guidance on some channels and at some noise levels: what it computes, what it costs, what is refused."""

from __future__ import annotations

import json

import pytest
import torch

from legoc.cost.report import price
from legoc.cost.table import table
from legoc.driver import describe_spec
from legoc.spec import check_text
from legoc_runtime.contract.manifest import manifest_from_json
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.predicate import Name
from legoc_runtime.contract.request import interval_text, parse_channels, parse_interval
from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.guidance import Guided
from legoc_runtime.sampling.run import SamplingRun
from tests.sampling.fakes import FormulaStack, plan, shape

SPEC = """legoc: 1
name: small
grid: {height: 8, width: 8, channels: 4}
conditioning: {classes: 5}
bricks:
  - {id: windows, size: 4, receptive_field: 2, depth: 1, width: 16, heads: 2}
  - {id: image, size: image, receptive_field: 2, depth: 1, width: 16, heads: 2}
"""
INTERVAL = "0.3,5.0"


def test_outside_the_interval_an_image_is_one_row():
    stack = FormulaStack(shape())
    run = SamplingRun(stack, plan(seeds=(0, 1), steps=8, guidance=3.0, guidance_interval=INTERVAL))
    for _ in run.batches(2):
        pass
    levels = run.plan.table.levels
    inside = [0.3 < level.sigma <= 5.0 for level in levels]
    assert [level.guided for level in levels] == inside
    assert {True, False} == set(inside)
    assert [rows for rows, _ in stack.calls] == [4 if inside[e.level] else 2 for e in run.plan.evaluations]


def test_an_interval_that_holds_every_level_changes_no_bit():
    pictures = [
        torch.cat([batch.pictures for batch in SamplingRun(FormulaStack(shape()), wanted).batches(3)])
        for wanted in (plan(guidance=2.0), plan(guidance=2.0, guidance_interval="0.0,80.0"), plan(guidance=1.0))
    ]
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


def test_policies_ask_where_guidance_acts():
    wanted = plan(Policy("lean", (("image", Name("guided")),)), steps=8, guidance=3.0, guidance_interval=INTERVAL)
    guided = [level.guided for level in wanted.table.levels]
    assert ["image" not in configuration for configuration in wanted.table.configurations] == guided


def test_channels_beyond_those_asked_for_are_the_classs_own():
    stack, x = FormulaStack(shape(channels=4)), torch.ones(2, 4, 8, 8)
    sigma, labels = torch.full((2,), 2.0), torch.tensor([1, 3])
    own, whole = stack(x, sigma, labels), Guided(stack, 2.0, 5)(x, sigma, labels)
    some = Guided(stack, 2.0, 5, channels=3)(x, sigma, labels)
    assert torch.equal(some[:, :3], whole[:, :3])
    assert torch.equal(some[:, 3:], own[:, 3:])
    assert not torch.equal(own, whole)


def test_prices_count_two_rows_where_guidance_acts():
    costs: list[int] = []
    for sample in ("guidance: 2", "guidance: 2, guidance_interval: [0.3, 5]", "guidance: 1"):
        spec = check_text(f"{SPEC}sample: {{steps: 8, {sample}}}\n", "t").spec
        assert spec is not None
        cost = price(describe_spec(spec)[0], policies=["none"])
        costs.append(cost.policies[0].macs)
    assert (costs[0] - costs[2]) * 15 == costs[2] * 15
    spec = check_text(f"{SPEC}sample: {{steps: 8, guidance: 2, guidance_interval: [0.3, 5]}}\n", "t").spec
    assert spec is not None
    cost = price(describe_spec(spec)[0], policies=["none"])
    assert costs[1] * cost.evaluations == costs[2] * (cost.evaluations + cost.guided_evaluations)
    assert f"two rows at {cost.guided_evaluations} of them (guidance), one at the others" in table(cost)


@pytest.mark.parametrize("text", ["all", "0.3,5", " 0 , 1e2 ", ".5,5."])
def test_an_interval_survives_its_text(text: str):
    assert parse_interval(interval_text(parse_interval(text))) == parse_interval(text)


@pytest.mark.parametrize(
    "text", ["", "5", "5,0.3", "1,1", "-1,3", "0.3;5", "a,b", "0,inf", "nan,3", "1,2,3", "0,1e999"]
)
def test_what_is_no_interval_is_refused(text: str):
    with pytest.raises(UsageError, match="no interval of noise levels"):
        parse_interval(text)


@pytest.mark.parametrize("text", ["0", "-1", "3.0", "", "first", "1" * 5000])
def test_what_is_no_number_of_channels_is_refused(text: str):
    with pytest.raises(UsageError, match="no number of channels"):
        parse_channels(text)


def test_more_channels_than_there_are_is_refused():
    with pytest.raises(UsageError, match="4 channels; an image has 3"):
        plan(guidance=2.0, guidance_channels="4")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("guidance_interval: [5, 0.3]", "LG104"),
        ("guidance_interval: [1]", "LG103"),
        ("guidance_interval: sometimes", "LG106"),
        ("guidance_channels: 0", "LG104"),
        ("guidance_channels: first", "LG106"),
        ("guidance_channels: 5", "LG108"),
    ],
)
def test_specs_are_told_what_is_wrong(written: str, code: str):
    (finding,) = check_text(f"{SPEC}sample:\n  guidance: 2\n  {written}\n", "t").diagnostics
    assert finding.code == code


def test_a_build_without_the_settings_is_read_with_their_defaults():
    spec = check_text(SPEC, "t").spec
    assert spec is not None
    manifest = describe_spec(spec)[0]
    older = json.loads(manifest.to_json()) | {"manifest_version": 2}
    del older["sample"]["guidance_channels"], older["sample"]["guidance_interval"]
    assert manifest_from_json(json.dumps(older), where="t") == manifest
