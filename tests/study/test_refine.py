"""What each brick makes of a noised image."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from legoc.driver import compile_spec, lower_configuration
from legoc.spec import check_text
from legoc.study.refine import LevelPoint, chosen_levels, plots
from legoc_runtime.contract.schedule import noise_levels
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.data import open_dataset
from legoc_runtime.errors import UsageError
from legoc_runtime.stack import BrickStack, TrainingStack
from legoc_runtime.study.refine import Examples, errors, estimates, examples, noised, prefixes
from legoc_runtime.study.refine_sheet import Row, refine_sheet
from tests.image_sets import labelled_zip
from tests.stacks import random_store
from tests.training.tiny import SPEC


@pytest.fixture(scope="module", params=["x0", "raw"])
def stacks(request: pytest.FixtureRequest) -> tuple[BrickStack, TrainingStack]:
    text = SPEC.replace("train_patches: 0.5", "train_patches: 1").replace("grid:", f"carry: {request.param}\ngrid:", 1)
    spec = check_text(text, "tiny.yaml").spec
    assert spec is not None
    manifest, _ = compile_spec(spec)
    store = random_store(manifest.shape, seed=3)
    missing = [ids for ids in prefixes(manifest.shape.ids) if ids not in manifest.configurations]
    programs = [lower_configuration(manifest, ids) for ids in missing]
    return BrickStack(manifest, store, extra_programs=programs), TrainingStack(manifest, store)


@pytest.fixture
def shown(stacks: tuple[BrickStack, TrainingStack], tmp_path: Path) -> Examples:
    return examples(open_dataset(labelled_zip(tmp_path / "data.zip")), stacks[0].shape, [1, 4, 6])


def test_they_are_the_estimates_that_training_sees(stacks: tuple[BrickStack, TrainingStack], shown: Examples):
    sampling, training = stacks
    noisy = noised(shown, 0.7, seed=0)
    with torch.no_grad():
        expected = training(noisy, torch.full((3,), 0.7), shown.labels, clean=shown.clean, windows={})
    found = estimates(sampling, shown, noisy, 0.7)
    assert len(found) == 3
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs.estimate, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[0], found[2])


def test_errors_are_root_mean_squares_whatever_the_batch(stacks: tuple[BrickStack, TrainingStack], shown: Examples):
    stack, counted = stacks[0], list[int]()
    found = errors(stack, shown, 2.0, 5, batch=2, done=counted.append)
    noisy = noised(shown, 2.0, 5)
    for (id, error), estimate in zip(found.items(), estimates(stack, shown, noisy, 2.0), strict=True):
        assert id in stack.shape.ids
        assert error == pytest.approx(float((estimate - shown.clean).square().mean().sqrt()), rel=1e-5)
    assert counted == [2, 1]


def test_an_image_has_the_same_noise_at_every_level_and_in_every_choice(shown: Examples):
    low, high = (noised(shown, sigma, 1) - shown.clean for sigma in (0.1, 10.0))
    torch.testing.assert_close(100 * low, high, rtol=1e-3, atol=1e-3)
    alone = Examples(shown.indices[1:2], shown.clean[1:2], None)
    assert torch.equal(noised(alone, 0.1, 1), noised(shown, 0.1, 1)[1:2])


def test_images_that_do_not_exist_are_refused(stacks: tuple[BrickStack, TrainingStack], tmp_path: Path):
    with pytest.raises(UsageError, match="no image 10 among 10"):
        examples(open_dataset(labelled_zip(tmp_path / "data.zip")), stacks[0].shape, [10])


def test_levels_are_spread_over_the_schedule_or_those_asked_for():
    levels = noise_levels(18, EdmConstants())
    bounds = (0.002, 80.0)
    found = chosen_levels(None, levels, bounds)
    assert len(found) == 6
    assert (found[0], found[-1]) == (levels[0].sigma, levels[-1].sigma)
    assert chosen_levels(None, levels[:2], bounds) == (levels[0].sigma, levels[1].sigma)
    assert chosen_levels("0.1,10, 1", levels, bounds) == (10, 1, 0.1)
    assert chosen_levels("80.1,0.00199", levels, bounds) == (80.1, 0.00199)
    for text in ("", "0", "-1", "inf", "nan", "1,1.0"):
        with pytest.raises(UsageError, match="--sigmas"):
            chosen_levels(text, levels, bounds)
    for text in ("1e30", "1,0.001"):
        with pytest.raises(UsageError, match=r"noise levels of this stack's diffusion are 0\.002 to 80"):
            chosen_levels(text, levels, bounds)


def test_a_second_plot_holds_bricks_against_the_bottom_one():
    points = [LevelPoint(10.0, {"whole": 0.5, "detail": 0.4}), LevelPoint(0.1, {"whole": 0.02, "detail": 0.01})]
    errors, shares = plots(points, "below")
    assert [curve.label for curve in errors.curves] == ["whole", "detail"]
    assert [curve.points for curve in shares.curves] == [((0.1, 1.0), (10.0, 1.0)), ((0.1, 0.5), (10.0, 0.8))]
    assert len(plots([LevelPoint(1.0, {"whole": 0.0, "detail": 0.0})], "below")) == 1
    assert len(plots([LevelPoint(1.0, {"whole": 0.5})], "below")) == 1


def test_the_picture_has_a_row_a_level_and_a_column_a_picture():
    grey = tuple(torch.full((1, 8, 8), value) for value in (-1.0, 0.0, 1.0))
    row = Row("sigma", grey, (1.0,))
    one, two = (
        Image.open(io.BytesIO(refine_sheet("title", "below", ["noised", "brick", "clean"], [row] * count)))
        for count in (1, 2)
    )
    assert two.height - one.height >= 112
    assert one.size[0] >= 96 + 3 * 112
    assert {one.getpixel((200, 100)), one.getpixel((320, 100))} == {(0, 0, 0), (128, 128, 128)}
