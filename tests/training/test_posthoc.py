"""Averages made after a run, against those that it would have kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from legoc.__main__ import main
from legoc_runtime.checkpoint import Header, checkpoints, find_weights, write_checkpoint
from legoc_runtime.checkpoint.layout import AVERAGES
from legoc_runtime.checkpoint.tensorfile import load
from legoc_runtime.training.ema import Ema
from legoc_runtime.training.posthoc import plan
from tests.stacks import random_store, stack
from tests.training.tiny import train_tiny

PROFILES: dict[str, Any] = {"ema_profiles": (0.05, 0.1), "ema_snapshot_images": 8}


def kept(folder: Path, steps: int, every: int) -> Ema:
    """Weights that wander for so many steps; averages of widths 0.05 and 0.1 are kept, of 0.15 not."""
    store, generator = random_store(stack()), torch.Generator().manual_seed(0)
    ema = Ema(store, (), (0.05, 0.1, 0.15))
    for step in range(steps):
        with store.updating(), torch.no_grad():
            for weight in store.weights.values():
                weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
        ema.update(step)
        if (step + 1) % every == 0:
            files = {f"ema-profile-{width}": ema.profiles[width] for width in (0.05, 0.1)}
            header = Header("spec", "hash", step + 1)
            write_checkpoint(folder, header, files, {"step": step + 1}, folder=AVERAGES)
    return ema


def test_width_that_was_not_kept_is_made_of_those_that_were(tmp_path: Path) -> None:
    """To a few percent of how far it is from the nearest one that was kept."""
    ema = kept(tmp_path, steps=240, every=20)
    found = plan(tmp_path, 0.15)
    made, key = found.tensors(), "bricks.parts.embed.weight"
    error = (made[key] - ema.profiles[0.15][key]).abs().mean()
    away = (ema.profiles[0.1][key] - ema.profiles[0.15][key]).abs().mean()
    assert error < 0.05 * away
    assert found.error < 0.02
    assert sum(found.shares) == pytest.approx(1, abs=0.02)
    assert len(found.parts) == 24


def test_few_averages_meet_a_profile_badly_and_that_is_known(tmp_path: Path) -> None:
    kept(tmp_path, steps=40, every=40)
    assert plan(tmp_path, 0.01).error > 0.3
    assert plan(tmp_path, 0.1).error == pytest.approx(0, abs=1e-6)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("posthoc")
    assert train_tiny(folder / "run", **PROFILES).finished
    return folder / "run"


def test_run_keeps_averages_at_their_turn_and_at_its_end(run: Path) -> None:
    assert [int(path.name) for path in checkpoints(run, AVERAGES)] == [8, 16, 24, 32]
    held, whole = (
        load(path / "ema-profile-0.05.safetensors") for path in (checkpoints(run, AVERAGES)[-1], checkpoints(run)[-1])
    )
    for key, tensor in whole.items():
        assert held[key].dtype == torch.float16
        torch.testing.assert_close(held[key].float(), tensor, rtol=1e-3, atol=1e-6)


def test_stopping_and_continuing_gives_the_same_profiles(run: Path, tmp_path: Path) -> None:
    asked = iter([False, False, False, True])
    train_tiny(tmp_path / "run", stop=lambda: next(asked), **PROFILES)
    train_tiny(tmp_path / "run", **PROFILES)
    for one, other in zip(checkpoints(run, AVERAGES), checkpoints(tmp_path / "run", AVERAGES), strict=True):
        for name in ("ema-profile-0.05.safetensors", "ema-profile-0.1.safetensors"):
            mine, its = load(one / name), load(other / name)
            assert all(torch.equal(mine[key], its[key]) for key in mine)


def test_command_writes_weights_that_sampling_takes(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "average.safetensors"
    assert main(["ema", str(run), "--sigma-rel", "0.1", "-o", str(out)]) == 0
    shown = capsys.readouterr()
    assert (shown.out, "8 averages, profile met within 0.00%" in shown.err) == (f"{out}\n", True)
    assert (find_weights(out).kind, find_weights(out).images) == ("ema-profile-0.1", 32)
    tracked = load(find_weights(run, ema="profile-0.1").path)
    for key, tensor in load(out).items():
        torch.testing.assert_close(tensor, tracked[key], rtol=2e-3, atol=1e-5)
    assert main(["ema", str(run), "--sigma-rel", "0.1", "-o", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["ema", str(run), "--sigma-rel", "0.2", "-o", str(out), "--overwrite", "--images", "16"]) == 0
    arguments = ["--seeds", "0", "--steps", "2", "--out", str(tmp_path / "pictures"), "--backend", "eager"]
    assert main(["sample", str(out), *arguments, "--device", "cpu"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--sigma-rel", "0.5"], 2, "no width"),
        (["--sigma-rel", "0.1", "--images", "17"], 2, "there are 8, 16, 24, 32"),
        (["--sigma-rel", "0.1", "-o", "average.bin"], 2, "end in .safetensors"),
    ],
)
def test_what_cannot_be_made_is_said(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(["ema", str(run), *arguments]) == code
    assert said in capsys.readouterr().err


def test_run_without_profiles_and_damaged_averages_are_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_tiny(tmp_path / "plain", images=4)
    assert main(["ema", str(tmp_path / "plain"), "--sigma-rel", "0.1"]) == 2
    assert "ema_profiles: [0.05, 0.1]" in capsys.readouterr().err
    shutil.copytree(run, tmp_path / "run")
    path = checkpoints(tmp_path / "run", AVERAGES)[0] / "ema-profile-0.1.safetensors"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))
    assert main(["ema", str(tmp_path / "run"), "--sigma-rel", "0.1"]) == 3
    assert "is damaged" in capsys.readouterr().err
