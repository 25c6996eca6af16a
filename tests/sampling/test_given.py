"""Starting from images: where sampling begins, what a mask keeps, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from legoc.cli.sample_talk import plan_lines
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.predicate import Compare, Name, Number
from legoc_runtime.contract.request import parse_classes
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling.given import Given, read_given
from legoc_runtime.sampling.output import SampleDirectory
from legoc_runtime.sampling.pictures import read_png, to_uint8
from legoc_runtime.sampling.plan import Plan, make_plan
from legoc_runtime.sampling.record import Source, policy_record
from legoc_runtime.sampling.run import SamplingRun
from legoc_runtime.sampling.sampler import State
from tests.sampling.fakes import LATE, FormulaStack, shape

DOTS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def picture(path: Path, pixels: NDArray[np.uint8] = DOTS) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def mask(path: Path, pixels: NDArray[np.uint8] | None = None) -> Path:
    if pixels is None:
        pixels = np.zeros((8, 8), np.uint8)
        pixels[:, 5:] = 255
    return picture(path, pixels)


def given_plan(given: Given, diffusion: Any = None, **settings: Any) -> Plan:
    stack = shape() if diffusion is None else replace(shape(), diffusion=diffusion)
    chosen = replace(SampleSettings(steps=6), **settings)
    return make_plan(stack, LATE, chosen, (0, 1, 2), parse_classes("random"), given)


def sampled(wanted: Plan, batch: int = 3) -> tuple[torch.Tensor, list[State]]:
    states: list[State] = []
    run = SamplingRun(FormulaStack(wanted.shape), wanted)
    return torch.cat([made.pictures for made in run.batches(batch, on_state=states.append)]), states


def test_the_last_share_of_the_steps_runs_from_the_noised_image(tmp_path: Path):
    wanted = given_plan(read_given(shape(), picture(tmp_path / "a.png"), None, 0.5))
    assert [call.step for call in wanted.evaluations] == [3, 3, 4, 4, 5]
    pictures, states = sampled(wanted)
    assert [state.step for state in states] == [3, 4, 5, 6]
    image = torch.tensor(DOTS.astype(np.float64).transpose(2, 0, 1) / 127.5 - 1)
    noise = (states[0].x - image) / wanted.first_level.sigma
    assert noise.std().item() == pytest.approx(1, abs=0.15)
    # the seeds' noise is theirs, and what is left of it moves the picture
    assert not torch.equal(pictures[0], pictures[1])


SAMPLERS = [
    {"sampler": "heun", "churn": 4.0},
    {"sampler": "euler"},
    {"sampler": "dpmpp_2m"},
    {"sampler": "ddpm", "diffusion": DdpmConstants()},
    {"sampler": "ddim", "eta": 0.5, "diffusion": DdpmConstants()},
]


@pytest.mark.parametrize("settings", SAMPLERS, ids=lambda settings: settings["sampler"])
@pytest.mark.parametrize("strength", [None, 0.5])
def test_a_mask_keeps_black_pixels_bit_by_bit_with_every_sampler(
    tmp_path: Path, settings: dict[str, Any], strength: float | None
):
    given = read_given(shape(), picture(tmp_path / "a.png"), mask(tmp_path / "m.png"), strength)
    wanted = given_plan(given, **settings)
    pictures, states = sampled(wanted)
    shown = to_uint8(pictures).transpose(0, 2, 3, 1)
    assert (shown[:, :, :5] == DOTS[:, :5]).all()
    assert (shown[:, :, 5:] != DOTS[:, 5:]).mean() > 0.5
    # on the way they are the image under the level's share of noise
    image = torch.tensor(DOTS.astype(np.float64).transpose(2, 0, 1) / 127.5 - 1)
    for state in states[:-1]:
        noise = (state.x - image)[:, :, :, :5] / state.sigma
        assert noise.std().item() == pytest.approx(1, abs=0.2)


def test_what_is_under_the_white_of_a_mask_does_not_matter_from_the_top(tmp_path: Path):
    other = DOTS.copy()
    other[:, 5:] = 255 - other[:, 5:]
    white = mask(tmp_path / "m.png")
    sides = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png", other)]
    one, two = (sampled(given_plan(read_given(shape(), side, white, None)))[0] for side in sides)
    assert torch.equal(one, two)


def test_a_picture_does_not_depend_on_its_batch(tmp_path: Path):
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png", DOTS if name == "a" else 255 - DOTS)
    given = read_given(shape(), tmp_path, None, 0.5)
    assert [given.path_of(seed).name for seed in range(3)] == ["a.png", "b.png", "a.png"]
    assert torch.equal(sampled(given_plan(given), 1)[0], sampled(given_plan(given), 3)[0])


@pytest.mark.parametrize(("strength", "skipped", "breaks"), [(0.5, 2, [4]), (0.3, 2, []), (0.9, 2, [4])])
def test_only_levels_that_run_are_spoken_of(tmp_path: Path, strength: float, skipped: int, breaks: list[int]):
    late = Policy("late", (("image", Compare(Name("step"), ((">=", Number(4)),))),))
    given = read_given(shape(), picture(tmp_path / "a.png"), None, strength)
    wanted = make_plan(shape(), late, SampleSettings(steps=6), (0,), parse_classes("random"), given)
    said, levels = "\n".join(plan_lines(wanted, 0.1)), 6 - given.first_step(6)
    assert f"windows+parts at {skipped} of {levels} noise levels" in said
    record = policy_record(wanted.reached)
    assert (record["levels"], record["skipped"]["image"]) == (levels, skipped)
    assert [found["step"] for found in record["breaks"]] == breaks
    assert [f"from step {step} " in said for step in breaks] == [True] * len(breaks)
    assert ("image off" in said) == bool(breaks)


def test_the_record_says_what_was_given(tmp_path: Path):
    source = Source("small", "5" * 64, "w.safetensors", "a" * 64, 1000, "weights", "0.1.0")
    (tmp_path / "in").mkdir()
    image, white = picture(tmp_path / "in" / "a.png"), mask(tmp_path / "m.png")
    wanted = given_plan(read_given(shape(), image, white, 0.5))
    directory = SampleDirectory(tmp_path / "out", wanted, source)
    directory.claim()
    directory.fill(SamplingRun(FormulaStack(shape()), wanted), batch=2, how={})
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    given = record["request"]["given"]
    assert (given["images"], given["strength"], given["first_step"]) == (1, 0.5, 3)
    assert given["sigma"] == wanted.first_level.sigma
    assert record["pictures"][2]["from"] == "a.png"
    assert read_png(tmp_path / "out" / "000000.png", (3, 8, 8)) is not None
    picture(image, 255 - DOTS)
    other = given_plan(read_given(shape(), image, white, 0.5))
    with pytest.raises(UsageError, match="samples of other settings: given"):
        SampleDirectory(tmp_path / "out", other, source).claim(resume=True)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((8, 8), np.uint8), "black: every pixel is kept"),
        (np.full((8, 8), 255, np.uint8), "white: no pixel is kept"),
        (np.zeros((8, 9), np.uint8), "is 8x9; pictures of 8x8 are made"),
    ],
)
def test_masks_that_mean_nothing_are_refused(tmp_path: Path, pixels: NDArray[np.uint8], words: str):
    with pytest.raises(UsageError, match=words):
        read_given(shape(), picture(tmp_path / "a.png"), mask(tmp_path / "m.png", pixels), None)


@pytest.mark.parametrize("strength", [0.0, -1.0, 1.5, float("nan"), 1.0])
def test_strengths_that_mean_nothing_are_refused(tmp_path: Path, strength: float):
    with pytest.raises(UsageError, match="--strength"):
        read_given(shape(), picture(tmp_path / "a.png"), None, strength)


def test_images_that_do_not_fit_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="there is nothing at"):
        read_given(shape(), tmp_path / "none.png", None, 0.5)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no images"):
        read_given(shape(), tmp_path / "empty", None, 0.5)
    with pytest.raises(UsageError, match=r"is 4x8; pictures of 8x8 are made"):
        read_given(shape(), picture(tmp_path / "small.png", DOTS[:4]), None, 0.5)
    with pytest.raises(UsageError, match="a colour image; the stack makes grey ones"):
        read_given(shape(channels=1), picture(tmp_path / "a.png"), None, 0.5)
    with pytest.raises(UsageError, match="latents of 4 channels"):
        read_given(shape(channels=4), tmp_path / "a.png", None, 0.5)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"cut\.png cannot be read as an image"):
        read_given(shape(), tmp_path / "cut.png", None, 0.5)
