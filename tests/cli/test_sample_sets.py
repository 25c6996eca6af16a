"""`legoc sample` in several processes and several goes, as people call it, on a run that was never trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from legoc.__main__ import main
from tests.cli.small_run import write_run

COMMON = ("--backend", "eager", "--device", "cpu", "--batch", "3", "--skip-policy", "halfway")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    write_run(root / "runs" / "small")
    return root


@pytest.fixture(autouse=True)
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def sample(*arguments: str) -> int:
    return main(["sample", *COMMON, *arguments])


def files(path: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(Path(path).iterdir()) if file.name != "samples.json"}


def test_two_ranks_go_on_with_a_set_and_make_the_bits_of_one():
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["-m", "legoc", "sample", *COMMON, "--seeds", "0-7", "--classes", "balanced", "--npz"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    # a whole batch of its own, so that the batches of the rest are those of a set in one go
    part = run(sys.executable, *arguments, "--out", "two", "--seeds", "0-2")
    assert part.returncode == 0, part.stderr
    assert Path("two/samples_3x16x8x3.npz").exists()
    two = run(*torchrun, *arguments, "--out", "two", "--resume")
    assert two.returncode == 0, two.stderr
    assert two.stdout.split() == ["two"]
    assert "5 seeds, 3 kept by 3 on cpu, backend eager, 2 processes" in two.stderr
    one = run(sys.executable, *arguments, "--out", "one")
    assert one.returncode == 0, one.stderr
    assert files("two") == files("one")
    assert {"samples_8x16x8x3.npz", "grid.png", "000007.png"} <= files("two").keys()
    record = json.loads(Path("two/samples.json").read_text())
    assert record["how"]["ranks"] == 2
    assert record["npz"] == "samples_8x16x8x3.npz"
    assert [picture["class"] for picture in record["pictures"]] == [seed % 4 for seed in range(8)]


def test_a_set_is_gone_on_with(capsys: pytest.CaptureFixture[str]):
    assert sample("--out", "set", "--seeds", "0-3") == 0
    assert sample("--out", "set", "--seeds", "0-6", "--resume") == 0
    assert "3 seeds, 4 kept by 3 on cpu" in capsys.readouterr().err
    assert sample("--out", "set", "--seeds", "0-6", "--resume", "--npz") == 0
    assert "all 7 pictures are there" in capsys.readouterr().err
    assert Path("set/samples_7x16x8x3.npz").exists()
    assert json.loads(Path("set/samples.json").read_text())["npz"] == "samples_7x16x8x3.npz"
    assert sample("--out", "whole", "--seeds", "0-6", "--npz") == 0
    assert files("set") == files("whole")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--resume", "--overwrite"], "--resume keeps pictures and --overwrite replaces them"),
        (["--resume", "--steps", "9"], "holds samples of other settings"),
        (["--resume", "--sampler", "euler"], "holds samples of other settings"),
        (["--sampler", "abacus"], "there is no sampler `abacus`"),
        (["--sampler", "ddpm"], "belongs to ddpm"),
        (["--sampler", "dpmpp_2m", "--churn", "4"], "adds no noise"),
        (["--guidance-interval", "5,0.3"], "no interval of noise levels"),
        (["--guidance-channels", "4"], "an image has 3"),
        (["--mask", "m.png"], "--mask says something of the images"),
        (["--strength", "0.5"], "--strength says something of the images"),
        (["--from", "nowhere.png"], "there is nothing at nowhere.png"),
        (["--guidance", "1", "--guidance-interval", "0.3,5"], "--guidance-interval does nothing"),
    ],
)
def test_requests_that_make_no_sense_lose_no_work(capsys: pytest.CaptureFixture[str], arguments: list[str], word: str):
    if not Path("kept").exists():
        assert sample("--out", "kept", "--seeds", "0") == 0
    before = files("kept")
    capsys.readouterr()
    assert sample("--out", "kept", "--seeds", "0", *arguments) == 2
    out, err = capsys.readouterr()
    assert word in err
    assert "Traceback" not in err
    assert out == ""
    assert files("kept") == before


def test_an_image_is_started_from_and_its_black_pixels_are_kept(capsys: pytest.CaptureFixture[str]):
    assert sample("--out", "image", "--seeds", "0") == 0
    with Image.new("L", (8, 16)) as white:
        white.paste(255, (0, 0, 8, 4))
        white.save("mask.png")
    capsys.readouterr()
    assert sample("--out", "masked", "--seeds", "1-2", "--from", "image/000000.png", "--mask", "mask.png") == 0
    said = "from image/000000.png, at step 0 of 5 (sigma 80); the mask keeps 75.0% of the pixels"
    assert said in capsys.readouterr().err
    with Image.open("image/000000.png") as before, Image.open("masked/000002.png") as after:
        assert before.crop((0, 4, 8, 16)).tobytes() == after.crop((0, 4, 8, 16)).tobytes()
        assert before.tobytes() != after.tobytes()
    assert sample("--out", "again", "--seeds", "1", "--from", "image", "--strength", "0.4") == 0
    assert "from image/000000.png, at step 3 of 5" in capsys.readouterr().err


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
def test_other_samplers_sample(sampler: str, capsys: pytest.CaptureFixture[str]):
    assert sample("--out", sampler, "--seeds", "0-1", "--sampler", sampler, "--guidance-interval", "0.3,5") == 0
    out, err = capsys.readouterr()
    assert out.strip() == sampler
    assert f"sampler: {sampler} instead of the spec's heun" in err
    assert "5 steps, 5 evaluations" in err
    assert "from sigma 0.3 to 5.0 (at 1 of 5 levels)" in err
    record = json.loads(Path(sampler, "samples.json").read_text())
    assert record["request"]["settings"]["sampler"] == sampler
    assert len(record["trace"]["calls"]) == 5
