"""The presets: each checks, says of itself what the counts say, and the released ones are the released models."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from legoc.cli.app import COMMANDS
from legoc.cost import brick_parameters, macs, parameters
from legoc.driver import compile_spec
from legoc.spec import check_file
from tests.reference_files import REFERENCE
from tests.spec.preset_table import PAPER, README, SPECS, Preset, paper_page, presets, readme

COUNTS: dict[str, Any] = json.loads((REFERENCE / "param_counts.json").read_text(encoding="utf-8"))
BY_NAME = {f"{preset.folder}/{preset.path.stem}": preset for preset in presets()}
MODELINE = "# yaml-language-server: $schema="


@pytest.mark.parametrize("name", BY_NAME)
def test_a_preset_says_its_source_and_what_it_costs(name: str) -> None:
    preset, shape = BY_NAME[name], BY_NAME[name].spec.shape
    assert preset.header["Source"]
    assert preset.header["Cost"] == f"{parameters(shape):,} parameters; {macs(shape):,} MACs a forward pass"
    assert preset.spec.name.lower() == preset.path.stem
    (first, *_) = preset.path.read_text(encoding="utf-8").splitlines()
    assert (preset.path.parent / first.removeprefix(MODELINE)).resolve() == SPECS.parent / "schema/legoc-v1.json"


@pytest.mark.parametrize("name", COUNTS["lego"])
def test_a_released_preset_is_the_released_model(name: str) -> None:
    preset, expected = BY_NAME[f"released/{name.lower()}"], COUNTS["lego"][name]
    shape = preset.spec.shape
    assert preset.spec.name == name
    assert parameters(shape) == expected["params_trainable"]
    assert [brick_parameters(brick) for brick in shape.bricks] == expected["params_per_brick"]
    assert macs(shape) == expected["macs_with_adaln_once"]
    assert (shape.carry, shape.coordinates) == ("raw", "row_column")
    assert shape.label_form == "linear"


@pytest.mark.parametrize("name", COUNTS["dit"])
def test_a_dit_preset_is_the_published_model(name: str) -> None:
    shape = BY_NAME["/" + name.lower().replace("-", "_").replace("/", "_")].spec.shape
    assert parameters(shape) == COUNTS["dit"][name]["params_trainable"]
    assert macs(shape) == COUNTS["dit"][name]["macs"]
    assert len(shape.bricks) == 1


def test_every_released_function_has_its_preset_and_no_other() -> None:
    assert {p.spec.name for p in presets() if p.folder == "released"} == set(COUNTS["lego"])


def test_our_presets_are_every_order_and_size_on_both_grids() -> None:
    ours = {p.path.stem for p in presets() if p.folder == ""}
    lego = {
        f"lego_{form}_{size}{grid}" for form in ("pg", "pr", "u") for size in ("s", "l", "xl") for grid in ("", "_64")
    }
    assert ours == lego | {"dit_s_2", "dit_b_2", "dit_l_2", "dit_xl_2", "emoji_32"}


@pytest.mark.parametrize("preset", [p for p in presets() if p.folder != "released"], ids=lambda p: p.path.stem)
def test_the_order_of_bricks_is_what_the_name_says(preset: Preset) -> None:
    """PG grows its windows, PR shrinks them, U does both; the bottom brick alone reads no estimate."""
    sides = [brick.window[0] for brick in preset.spec.shape.bricks]
    match [part for part in preset.spec.name.split("_") if part in ("pg", "pr", "u")]:
        case ["pg"]:
            assert sides == sorted(sides)
        case ["pr"]:
            assert sides == sorted(sides, reverse=True)
        case ["u"]:
            assert sides == sides[::-1]
            assert min(sides) == sides[2]
        case _:
            assert sides == sorted(sides)
    assert [brick.takes_estimate for brick in preset.spec.shape.bricks] == [False] + [True] * (len(sides) - 1)


def test_the_sizes_that_the_paper_reports() -> None:
    """681M and 464M, and what Tables 5 and 6 count: the 681M are 28 blocks, the tables have 30."""
    count = {name: parameters(preset.spec.shape) for name, preset in BY_NAME.items()}
    assert round(count["/lego_pg_xl"] / 1e6) == 681
    assert round(count["paper/table5_l"] / 1e6) == 463
    assert round(count["paper/table5_xl"] / 1e6) == 729
    assert round(count["paper/table6_xl"] / 1e6) == 728
    xl = [BY_NAME[name].spec.shape.bricks[0] for name in ("paper/table5_xl", "paper/table6_xl")]
    assert [(brick.window, brick.receptive_field, brick.tokens) for brick in xl] == [((4, 4), 4, 1)] * 2


def test_recipes_train_and_sample_as_the_paper_says() -> None:
    celeba, imagenet = (BY_NAME[f"paper/{name}"].spec for name in ("celeba64_s_pg", "imagenet256_xl_pr"))
    assert (celeba.train.images, celeba.train.warmup_images, celeba.train.fill) == (2_000_000, 10_000, "x0")
    assert (celeba.sample.steps, celeba.sample.churn) == (75, 0)
    assert [brick.train_patches for brick in celeba.shape.bricks] == [0.5, 0.5, 1.0]
    assert [brick.train_patches for brick in imagenet.shape.bricks] == [1.0, 0.75, 0.75]
    assert (imagenet.sample.sampler, imagenet.sample.steps) == ("ddpm", 250)


def test_presets_with_edm_build() -> None:
    """The smallest of each folder, which stand for the rest: the architecture's size does not matter here."""
    for name in ("/lego_u_s", "paper/celeba64_s_pr", "released/lego_s_pg_64"):
        manifest, _ = compile_spec(BY_NAME[name].spec)
        assert manifest.training.bricks == BY_NAME[name].spec.shape.ids


@pytest.mark.parametrize("path", sorted((SPECS / "base").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_base_is_used_and_is_no_preset(path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# A base, no stack by itself")
    missing = [d.code for d in check_file(path).errors]
    assert "LG102" in missing
    assert any(f"base/{path.name}" in p.path.read_text(encoding="utf-8") for p in presets())


def test_the_table_says_what_presets_on_latents_are_trained_on() -> None:
    text = " ".join(readme().split())
    assert "one of four is one of latents, which `legoc data encode` makes of images" in text
    assert {preset.spec.shape.channels for preset in presets()} == {3, 4}


def test_the_table_of_presets_is_fresh() -> None:
    assert README.read_text(encoding="utf-8") == readme(), "run `python -m tests.spec.preset_table`"


def test_the_page_about_the_paper_is_fresh_and_points_at_what_exists() -> None:
    text = PAPER.read_text(encoding="utf-8")
    assert text == paper_page(text), "run `python -m tests.spec.preset_table`"
    root = PAPER.parents[1]
    for place in re.findall(r"\]\((?!https)([^)]+)\)", text):
        assert (PAPER.parent / place.partition("#")[0]).exists(), place  # anchors: tests/architecture/test_links.py
    for place in re.findall(r"`((?:legoc|legoc_runtime|specs|tests)/[\w/.]+\.(?:py|yaml))`", text):
        assert any((folder / place).exists() for folder in (root, root / "runtime")), place
    assert set(re.findall(r"`legoc (\w+)", text)) <= {name.split()[0] for name in COMMANDS}
    recipes = {p.path.stem for p in presets() if p.folder == "paper"}
    assert recipes == {name for name in recipes if f"specs/paper/{name}.yaml" in text}
