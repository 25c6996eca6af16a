"""Counts against those of the public implementations, to the last digit."""

from __future__ import annotations

import json
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import pytest

from legoc.cost import (
    brick_macs,
    brick_parameters,
    conditioning_macs,
    conditioning_parameters,
    macs,
    parameters,
    policy_macs,
    training_macs,
)
from legoc_runtime.contract.policy import Policy, builtin_policy, tabulate
from legoc_runtime.contract.schedule import edm_levels, heun_evaluations
from legoc_runtime.contract.stack import BrickShape, DdpmConstants, EdmConstants, StackShape, weight_shapes

COUNTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "reference" / "param_counts.json").read_text(encoding="utf-8")
)
LEGO: dict[str, dict[str, Any]] = COUNTS["lego"]
DIT: dict[str, dict[str, Any]] = COUNTS["dit"]


def released(preset: dict[str, Any]) -> StackShape:
    """A released LEGO model: coordinates on, square bricks, one width, a linear label embedding."""
    grid = (preset["grid"], preset["grid"])
    bricks = tuple(
        BrickShape(
            id=f"b{i}",
            window=(size, size),
            grid=grid,
            receptive_field=receptive_field,
            depth=depth,
            width=preset["width"],
            heads=preset["heads"],
            mlp_ratio=4.0,
            channels=preset["in_channels"],
            coordinates=2,
            takes_estimate=i > 0,
            condition_width=preset["width"],
        )
        for i, (size, receptive_field, depth) in enumerate(
            zip(preset["image_sizes"], preset["receptive_fields"], preset["depths"], strict=True)
        )
    )
    return StackShape(
        channels=preset["in_channels"],
        grid=grid,
        classes=preset["label_dim"] or None,
        label_form="linear",
        coordinates="column_row",
        condition_width=preset["width"],
        carry="raw",
        diffusion=EdmConstants(),
        bricks=bricks,
    )


def one_brick_dit(model: dict[str, Any]) -> StackShape:
    """A DiT as a stack of one image-brick, its learned variance too."""
    grid = (model["grid"], model["grid"])
    brick = BrickShape(
        id="dit",
        window=grid,
        grid=grid,
        receptive_field=model["patch_size"],
        depth=model["depth"],
        width=model["width"],
        heads=model["heads"],
        mlp_ratio=4.0,
        channels=model["in_channels"],
        coordinates=0,
        takes_estimate=False,
        condition_width=model["width"],
        variance_channels=model["out_channels"] - model["in_channels"],
    )
    return StackShape(
        channels=model["in_channels"],
        grid=grid,
        classes=model["num_classes"],
        label_form="table",
        coordinates="none",
        condition_width=model["width"],
        carry="raw",
        diffusion=DdpmConstants(variance="learned_range"),
        bricks=(brick,),
    )


def test_the_reference_holds_all_models() -> None:
    assert (len(LEGO), len(DIT)) == (18, 4)


@pytest.mark.parametrize("name", LEGO)
def test_released_lego_parameters(name: str) -> None:
    preset, shape = LEGO[name], released(LEGO[name])
    assert parameters(shape) == preset["params_trainable"]
    assert [brick_parameters(brick) for brick in shape.bricks] == preset["params_per_brick"]
    assert conditioning_parameters(shape) == preset["params_shared_embedders"]


@pytest.mark.parametrize("name", LEGO)
def test_released_lego_macs_with_adaln_once_an_image(name: str) -> None:
    preset, shape = LEGO[name], released(LEGO[name])
    assert macs(shape) == preset["macs_with_adaln_once"]
    assert [brick_macs(brick) for brick in shape.bricks] == [b["macs_with_adaln_once"] for b in preset["bricks"]]
    assert conditioning_macs(shape) == preset["macs_t_embedder"] + preset["macs_y_embedder"]


@pytest.mark.parametrize("name", DIT)
def test_dit_as_one_brick(name: str) -> None:
    model, shape = DIT[name], one_brick_dit(DIT[name])
    assert parameters(shape) == sum(prod(s) for s in weight_shapes(shape).values()) == model["params_trainable"]
    assert macs(shape) == model["macs"]


def test_parameters_are_those_of_the_weight_store() -> None:
    shape = released(LEGO["lego_XL_U_32"])
    assert parameters(shape) == sum(prod(s) for s in weight_shapes(shape).values()) == 1_261_373_744
    # widths, MLPs, windows and labels that no released model has
    wide = replace(shape.bricks[0], width=96, heads=3, mlp_ratio=2.5, window=(16, 32))
    mixed = replace(shape, bricks=(wide, *shape.bricks[1:]), classes=7, label_form="table")
    assert parameters(mixed) == sum(prod(s) for s in weight_shapes(mixed).values())


def test_macs_count_every_weight_of_a_matrix_product_once_a_token() -> None:
    """MACs from the weights' shapes and attention's own products: an independent way to the same number."""
    brick = replace(released(LEGO["lego_S_U_64"]).bricks[2], width=96, heads=3, mlp_ratio=2.5, window=(4, 8))
    per_token = per_image = 0
    for key, shape in weight_shapes(replace(released(LEGO["lego_S_U_64"]), bricks=(brick,))).items():
        if key.startswith("bricks.") and key.endswith(".weight"):
            if ".adaln." in key:
                per_image += prod(shape)
            else:
                per_token += prod(shape)
    attention = brick.depth * 2 * brick.tokens**2 * brick.width
    assert brick_macs(brick) == brick.windows * (brick.tokens * per_token + attention) + per_image


def test_training_counts_the_windows_that_train() -> None:
    shape = released(LEGO["lego_S_PG_64"])
    assert training_macs(shape) == 3 * macs(shape)
    sampled = replace(shape, bricks=(replace(shape.bricks[0], train_patches=0.75), *shape.bricks[1:]))
    tokens_of_a_window = LEGO["lego_S_PG_64"]["bricks"][0]
    windowed = tokens_of_a_window["macs"] - tokens_of_a_window["macs_adaln"]
    assert training_macs(shape) - training_macs(sampled) == 3 * windowed // 4


def test_configurations_add_up_and_unknown_bricks_are_refused() -> None:
    shape = released(LEGO["lego_S_PG_64"])
    assert macs(shape, ("b0", "b1")) == macs(shape) - brick_macs(shape.bricks[2])
    with pytest.raises(KeyError):
        macs(shape, ("b0", "nobody"))


def test_policy_counts_each_evaluation_at_its_level() -> None:
    """Heun: level 0 once, every later level twice; a correction is priced at the level that it evaluates."""
    shape = released(LEGO["lego_S_PG_64"])
    halfway = builtin_policy("halfway", shape.bricks)
    assert halfway is not None
    levels, evaluations = edm_levels(5, shape.diffusion), heun_evaluations(5)
    table = tabulate(halfway, shape.ids, levels)
    assert [len(configuration) for configuration in table.configurations] == [3, 3, 2, 2, 2]
    lean = macs(shape, ("b0", "b1"))
    assert policy_macs(shape, table, evaluations) == 3 * macs(shape) + 6 * lean

    guided = tabulate(halfway, shape.ids, edm_levels(5, shape.diffusion, guided=True))
    assert policy_macs(shape, guided, evaluations) == 2 * policy_macs(shape, table, evaluations)


@pytest.mark.parametrize(
    ("name", "brick", "saving"),
    [("lego_XL_PG_32", "b2", 0.365), ("lego_XL_PG_64", "b2", 0.374), ("lego_L_PG_64", "b2", 0.328)],
)
def test_savings_of_half_the_evaluations(name: str, brick: str, saving: float) -> None:
    """Leaving the top brick out in half of the evaluations saves what was computed from the released counts.

    Those counted adaLN once a patch; counted once an image, the shares shift by less than two points.
    """
    shape = released(LEGO[name])
    levels = edm_levels(256, shape.diffusion)
    none = policy_macs(shape, tabulate(Policy("none"), shape.ids, levels), heun_evaluations(256))
    halfway = builtin_policy("halfway", shape.bricks)
    assert halfway is not None
    assert shape.ids[-1] == brick
    own = policy_macs(shape, tabulate(halfway, shape.ids, levels), heun_evaluations(256))
    assert 1 - own / none == pytest.approx(saving, abs=0.02)
