"""Grids of samples while a run trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from legoc_runtime import load
from legoc_runtime.checkpoint.tensorfile import load as load_tensors
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.request import parse_classes, parse_seeds
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling.pictures import grid, png_bytes, to_uint8
from legoc_runtime.sampling.plan import make_plan
from legoc_runtime.sampling.run import SamplingRun
from legoc_runtime.training.previews import weights_of
from legoc_runtime.training.progress import Quiet
from tests.training.tiny import tiny_build, train_tiny

CALLED = ("ema: [0.9, 0.5]}", "ema: [0.9, 0.5]}\nsample: {steps: 3, skip_policy: halfway, guidance: 1.5, batch: 4}")


@pytest.fixture(scope="module")
def build() -> tuple[Manifest, str]:
    return tiny_build(sample=CALLED)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "previews.jsonl").read_text().splitlines()]


def test_a_preview_is_what_sampling_makes_of_the_checkpoint(tmp_path: Path, build: tuple[Manifest, str]) -> None:
    run = tmp_path / "run"
    train_tiny(run, build, preview_images=10, preview_seeds="0-5")
    assert [line["images"] for line in lines(run)] == [12, 20, 32]
    assert {(line["weights"], line["policy"], line["seeds"]) for line in lines(run)} == {("ema-0.9", "halfway", "0-5")}
    stack = load(run / "checkpoints" / "000000000020")
    sample = stack.manifest.sample
    plan = make_plan(stack.shape, stack.manifest.policy("halfway"), sample, parse_seeds("0-5"), parse_classes("random"))
    pictures = torch.cat([batch.pictures for batch in SamplingRun(stack, plan).batches(4)])
    assert (run / "previews" / "000000000020.png").read_bytes() == png_bytes(grid(list(to_uint8(pictures))))
    with Image.open(run / "previews" / "000000000032.png") as image:
        assert image.size == (3 * 10 - 2, 2 * 10 - 2)


def test_previews_move_nothing_of_the_run_and_a_run_that_stops_draws_the_same(
    tmp_path: Path, build: tuple[Manifest, str]
) -> None:
    bare, drawn, parted = tmp_path / "bare", tmp_path / "drawn", tmp_path / "parted"
    train_tiny(bare, build)
    train_tiny(drawn, build, preview_images=8, preview_seeds="3,1")
    steps = iter(range(100))
    train_tiny(parted, build, preview_images=8, preview_seeds="3,1", stop=lambda: next(steps) >= 5)
    later = parted / "previews" / "000000000024.png"
    later.write_bytes(b"of a session that was killed before its checkpoint")
    (parted / "previews" / "000000000099.png").write_bytes(b"likewise")
    train_tiny(parted, build, preview_images=8, preview_seeds="3,1")
    names = sorted(path.name for path in (drawn / "previews").iterdir())
    assert names == sorted(path.name for path in (parted / "previews").iterdir())
    assert len(names) == 4
    assert lines(parted) == lines(drawn)
    for name in names:
        assert (drawn / "previews" / name).read_bytes() == (parted / "previews" / name).read_bytes()
    for file in ("weights", "ema-0.9", "ema-0.5", "optimizer"):
        tensors = [load_tensors(run / f"checkpoints/000000000032/{file}.safetensors") for run in (bare, drawn, parted)]
        for key, tensor in tensors[0].items():
            assert all(tensor.equal(other[key]) for other in tensors[1:]), f"{file}: {key}"


class Saying(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_a_picture_that_is_not_finite_ends_no_run(
    tmp_path: Path, build: tuple[Manifest, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RunError("the picture of seed 0 is not finite")

    monkeypatch.setattr("legoc_runtime.sampling.run._check_finite", fail)
    run = tmp_path / "run"
    said = Saying()
    assert train_tiny(run, build, preview_images=32, preview_seeds="0", progress=said).finished
    assert "32 images: no preview: the picture of seed 0 is not finite" in said.lines
    assert [line["file"] for line in lines(run)] == [None]
    assert not (run / "previews").exists()


def test_what_cannot_be_drawn_is_refused_before_there_is_a_run(tmp_path: Path) -> None:
    latents = tiny_build(channels=("channels: 3", "channels: 4"))
    with pytest.raises(UsageError, match="latents of 4 channels"):
        train_tiny(tmp_path / "run", latents, preview_images=8)
    other = tiny_build(ema=("0.5]}", "0.5]}\nsample: {ema: 0.5}"))
    with pytest.raises(UsageError, match=r"the average 0\.5, which the run does not keep"):
        train_tiny(tmp_path / "run", other, preview_images=8, ema=(0.9,))
    assert not (tmp_path / "run").exists()


class Doubling:
    """The part of a VAE that is used, which makes pictures twice as large."""

    def picture_shape(self, latent: tuple[int, int, int]) -> tuple[int, int, int]:
        return (3, 2 * latent[1], 2 * latent[2])

    def to(self, device: object) -> None:
        """Nothing."""

    def pictures(self, latents: torch.Tensor, *, batch: int, tiles: None) -> torch.Tensor:
        return latents.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def test_latents_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legoc_runtime.training.previews.load_vae", lambda folder: Doubling())
    build = tiny_build(sample=("0.5]}", "0.5]}\nsample: {steps: 2, decoder: vae}"))
    train_tiny(tmp_path / "run", build, preview_images=32, preview_seeds="0-3")
    with Image.open(tmp_path / "run" / lines(tmp_path / "run")[0]["file"]) as image:
        assert image.size == (2 * 18 - 2, 2 * 18 - 2)


def test_every_average_can_make_them() -> None:
    settings = tiny_build(ema=("ema: [0.9, 0.5]", "ema: [0.9, 0.5], ema_profiles: [0.1]"))[0].train
    kinds = [weights_of(ema, settings) for ema in ("first", "0.5", "none", "profile-0.1")]
    assert kinds == ["ema-0.9", "ema-0.5", "weights", "ema-profile-0.1"]
