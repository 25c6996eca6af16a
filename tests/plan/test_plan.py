"""The plan of a build: who reaches which configuration, what is shared, which kernels run where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from legoc.driver import compile_spec
from legoc.lower.pipeline import choose
from legoc.plan.plan import make_plan
from legoc.plan.reach import reach, reachable
from legoc.plan.text import plan_json, plan_text
from legoc.spec import load_spec
from legoc_runtime.contract.attention_rule import why
from legoc_runtime.contract.block_rule import why_block

EMOJI = Path(__file__).parents[2] / "specs" / "emoji_32.yaml"


@pytest.fixture(scope="module")
def emoji():
    manifest, _ = compile_spec(load_spec(EMOJI))
    return manifest, make_plan(manifest, choose())


def test_configurations_say_who_reaches_them_where(emoji):
    _, plan = emoji
    sections = plan_text(plan).split("\n\n")
    assert sections[0] == "emoji_32: 7,024,008 parameters, 1.014 GMAC an evaluation"
    lines = [line for line in sections[1].splitlines() if "operations" not in line]
    assert lines == [
        "Programs, over 18 noise levels",
        "      none: every step",
        "      halfway: steps 0-8 (sigma 80 to 3.26)",
        "      late: steps 0-11 (sigma 80 to 0.585)",
        "      early: steps 6-17 (sigma 8.4 to 0.002)",
        "      lean: step 11 (sigma 0.585)",
        "      halfway: steps 9-17 (sigma 1.92 to 0.002)",
        "      late: steps 12-17 (sigma 0.296 to 0.002)",
        "      lean: steps 12-17 (sigma 0.296 to 0.002)",
        "      early: steps 0-5 (sigma 80 to 12.9)",
        "      lean: steps 0-5 (sigma 80 to 12.9)",
        "      lean: steps 6-10 (sigma 8.4 to 1.09)",
        "  halfway, late and lean share windows+parts; early and lean share parts+image",
    ]
    assert [p.name for p in plan.configurations] == [
        "windows+parts+image",
        "windows+parts",
        "parts+image",
        "windows+image",
    ]
    assert plan.configurations[0].share == 1
    assert plan.configurations[0].inputs == ("x", "sigma", "label")


def test_every_training_program_says_what_it_trains_and_on_how_many_images():
    stages = "train.stages=[{train: [windows], images: 1M}, {train: [windows, parts, image]}]"
    manifest, _ = compile_spec(load_spec(EMOJI, [stages, "train.drop={policy: late, rate: 0.5}"]))
    plan = make_plan(manifest, choose())
    lines = [line.strip() for line in plan_text(plan).splitlines() if " train windows" in line]
    assert lines[0] == "1,000,000 images train windows; leaves out parts, image"
    assert lines[1].endswith(" images train windows, parts; leaves out image")
    found = plan_json(plan)["training_variants"]
    assert [one["program"]["name"] for one in found] == ["training.windows", "training.windows+parts"]
    # half of the steps of the second stage leave out what the policy does at their noise level
    assert 0 < found[1]["images"] < 1_500_000
    assert found[0]["learning"] == ("windows",)


def test_the_reason_of_every_kernel_is_the_rules_own(emoji):
    _, plan = emoji
    text = plan_text(plan)
    for device in ("cpu", "cuda"):
        form, _, reason = why(4, device=device, fused=True).partition(": ")
        assert f"{f'{device}, inductor':<24}  {form}: {reason}" in text
    assert {choice.reason for choice in plan.attention["parts"] if choice.place.fused and choice.place.device == "cpu"}


def test_blocks_of_our_own_are_said_with_their_reason(emoji):
    _, plan = emoji
    text = plan_text(plan)
    assert "\nBlock\n  windows, parts, image\n" in text
    for training in (False, True):
        place = f"cpu, inductor{', training' if training else ''}"
        form, _, reason = why_block(192, 4, device="cpu", training=training).partition(": ")
        assert f"{place:<24}  {form}: {reason}" in text
    assert {choice.place.backend for choice in plan.block["parts"]} == {"inductor"}


def test_blocks_are_counted_by_signature():
    spec = load_spec(EMOJI.with_name("lego_u_xl.yaml"))
    manifest, _ = compile_spec(spec)
    signatures = make_plan(manifest, choose()).signatures
    assert [(s.tokens, s.blocks, s.bricks) for s in signatures] == [
        (256, 28, ("coarse", "top")),
        (4, 24, ("parts", "detail", "regroup")),
    ]
    assert sum(s.blocks for s in signatures) == sum(brick.depth for brick in spec.shape.bricks)


def test_the_plan_as_data_says_the_same(emoji):
    manifest, plan = emoji
    data = json.loads(json.dumps(plan_json(plan)))
    assert data["shared"]["parts+image"] == ["early", "lean"]
    early = next(p for c in data["configurations"] for p in c["policies"] if p["policy"] == "early")
    assert early == {"policy": "early", "guided": None, "steps": [{"first": 6, "last": 17}]}
    assert data["training"]["operations"] == len(manifest.training.ops)
    assert data["passes"] == {
        "sampling": [step.name for step in choose().sampling],
        "training": [step.name for step in choose().training],
        "left_out": [],
    }
    assert {row["device"] for row in data["attention"]["windows"]} == {"cpu", "cuda"}


def test_passes_that_are_left_out_are_said():
    name = choose().names[0]
    manifest, _ = compile_spec(load_spec(EMOJI), disable=[name])
    plan = make_plan(manifest, choose(disable=[name]))
    assert plan.left_out == (name,)
    assert f"  disabled           {name}\n" in plan_text(plan)


def test_guidance_is_told_apart_where_it_matters(tmp_path):
    text = EMOJI.read_text().replace('late: {image: "sigma < 0.3"}', 'late: {image: "guided and sigma < 0.3"}')
    spec = tmp_path / "guided.yaml"
    spec.write_text(text)
    manifest, _ = compile_spec(load_spec(spec))
    found = {(r.policy, r.guided): r.table.distinct() for r in reach(manifest)}
    assert found["halfway", None][1] == ("windows", "parts")
    assert found["late", False] == (("windows", "parts", "image"),)
    assert found["late", True] == (("windows", "parts", "image"), ("windows", "parts"))
    assert "late with guidance: steps 12-17" in plan_text(make_plan(manifest, choose()))


def test_a_policy_is_reached_once_however_often_it_is_named(emoji):
    manifest, _ = emoji
    assert reachable(manifest, ["late", "halfway"]) == manifest.configurations
    assert [r.policy for r in reach(manifest, ["late"])] == ["none", "halfway", "late", "early", "lean"]
