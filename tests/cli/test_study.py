"""`legoc study skip`, `refine` and `stack` as a user runs them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image
from torch import Tensor

from legoc.__main__ import main
from legoc.study.directory import Study
from tests.cli.small_run import write_run
from tests.cli.test_train import signal_in_step
from tests.data.latent_sets import write_latents
from tests.evaluation.small_sets import pixels, write_extractor, write_folder
from tests.image_sets import labelled_zip
from tests.training.tiny import SPEC

Captured = pytest.CaptureFixture[str]
SKIP = ["study", "skip", "run", "--ref", "real", "--features", "tiny", "--seeds", "0-3", "--steps", "4"]
SKIP += ["--shares", "0,0.5,1", "--backend", "eager"]
REFINE = ["study", "refine", "run", "--data", "data.zip", "--sigmas", "0.1,2", "--examples", "3", "--backend", "eager"]
SWEEP = ["study", "stack", "tiny.yaml", "--data", "data.zip", "--images", "32", "--held-out", "0.2", "--device", "cpu"]
SWEEP += ["--backend", "eager", "--set", "train.batch=16", "--sweep", "parts.depth=1,2", "--out", "sweep"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run, its spec, images, a reference and an extractor, and no cache but its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_run(tmp_path / "run", SPEC)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    labelled_zip(tmp_path / "data.zip")
    write_folder(tmp_path / "real", pixels(12, seed=1))
    write_extractor(tmp_path / "tiny")
    return tmp_path


def stop_after(monkeypatch: pytest.MonkeyPatch, points: int) -> None:
    """Ctrl-C once so many points are kept."""
    add = Study[Any].add

    def stopping(self: Study[Any], point: Any) -> None:
        add(self, point)
        if len(self.points) == points:
            raise KeyboardInterrupt

    monkeypatch.setattr(Study, "add", stopping)


def study(out: Path) -> dict[str, Any]:
    return json.loads((out / "study.json").read_text())


def without_times(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in point.items() if name not in ("seconds", "time")} for point in points]


@pytest.mark.parametrize("words", [["study", "skip", "noisy", "--features", "none"], ["policy", "search", "noisy"]])
def test_a_sampler_without_the_noise_of_the_spec_is_refused_with_flags_that_there_are(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "noisy", SPEC + "sample: {churn: 4}\n")
    assert main([*words, "--sampler", "dpmpp_2m"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the sampler `dpmpp_2m` takes no churn, and the run's spec samples with churn 4" in said
    assert "leave --sampler out: the spec's is heun" in said


def test_skip_leaves_numbers_table_and_plot(place: Path, capsys: Captured):
    assert main([*SKIP, "--sets", "2", "--out", "out"]) == 0
    said = capsys.readouterr()
    assert "Fréchet (tiny)" in said.out
    assert "FID" not in said.out
    assert "no FID" in said.err
    data = study(place / "out")
    assert (data["study_version"], data["kind"], len(data["points"])) == (1, "skip", 7)
    whole, *rest = data["points"]
    assert (whole["brick"], whole["macs"], whole["squared_error"]["max"]) == ("", 1, 0)
    assert all(0 < point["macs"] < 1 and point["seconds"] > 0 for point in rest)
    error = rest[1]["squared_error"]
    assert 0 < error["min"] < error["mean"] < error["max"]
    assert {"Fréchet distance (tiny features)", "kernel distance (tiny features)"} <= rest[0]["features"].keys()
    assert (place / "out" / "table.md").read_text().count("\n| ") == 9
    drawn = {path.stem for path in (place / "out" / "pictures").iterdir()}
    assert len(drawn) == 7
    assert {"none", "small-early-0.5", "whole-late-1"} <= drawn
    assert ElementTree.parse(place / "out" / "plot.svg").getroot().tag.endswith("svg")


def test_a_study_that_was_stopped_goes_on_and_gives_the_same(
    place: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        stop_after(patched, 3)
        assert main([*SKIP, "--out", "out"]) == 130
    assert "3 points are kept in out" in capsys.readouterr().err
    assert not (place / "out" / "table.md").exists()
    assert main([*SKIP, "--out", "out"]) == 0
    assert "5 roll-outs" in capsys.readouterr().err
    assert main([*SKIP, "--out", "straight"]) == 0
    assert without_times(study(place / "out")["points"]) == without_times(study(place / "straight")["points"])
    # a finished one samples nothing; another brick's points join it; of those asked for alone is told
    capsys.readouterr()
    assert main([*SKIP, "--out", "out", "--brick", "whole", "--shares", "1", "--json"]) == 0
    said = capsys.readouterr()
    assert "all 2 points are there" in said.err
    assert [point["brick"] for point in json.loads(said.out)["points"]] == ["", "whole"]
    assert len(study(place / "out")["points"]) == 7


def test_without_features_the_error_alone_is_measured_into_the_run(place: Path, capsys: Captured):
    arguments = ["--features", "none", "--seeds", "3", "--steps", "2", "--shares", "1", "--backend", "eager"]
    assert main(["study", "skip", "run", *arguments]) == 0
    assert "Fréchet" not in capsys.readouterr().out
    (found,) = (place / "run" / "studies").iterdir()
    assert len(study(found)["points"]) == 4


class HalvedChannels:
    """A VAE of another kind: a picture is the first three channels of its latents."""

    picture_shape = (3, 8, 8)

    def pictures(self, latents: Tensor) -> Tensor:
        return latents[:, :3]

    def record(self) -> dict[str, str]:
        return {"sha256": "0"}

    def describe(self) -> str:
        return "latents are halved"


def test_latents_have_features_and_pictures_once_they_are_decoded(
    place: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
):
    write_run(place / "latent", SPEC.replace("channels: 3", "channels: 6"))
    skip = ["study", "skip", "latent", *SKIP[3:], "--out", "skip"]
    assert main(skip) == 2
    assert "give --decoder VAE, or --features none" in capsys.readouterr().err

    def halved(*_: object, **__: object) -> HalvedChannels:
        return HalvedChannels()

    monkeypatch.setattr("legoc.cli.study_judge.decoding_asked", halved)
    assert main(skip) == 0
    said = capsys.readouterr()
    assert "Fréchet (tiny)" in said.out
    assert "latents are halved; squared errors are of latents" in said.err
    assert study(place / "skip")["request"]["features"]["decoder"] == {"sha256": "0"}
    write_latents(place / "latents", size=(6, 8, 8))
    refine = [
        "study",
        "refine",
        "latent",
        "--data",
        "latents",
        "--sigmas",
        "1",
        "--backend",
        "eager",
        "--out",
        "refine",
    ]
    assert main(refine) == 0
    assert "give --decoder for a picture" in capsys.readouterr().err
    assert not (place / "refine" / "estimates.png").exists()
    monkeypatch.setattr("legoc.cli.study_refine_run.decoding_asked", halved)
    assert main(refine) == 0
    assert (place / "refine" / "estimates.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--shares", "2"], "0 to 1"),
        (["--end", "never"], "no such end"),
        (["--brick", "nose"], "no brick `nose`"),
        (["--sets", "3"], "not 3 sets"),
        (["--sets", "4"], "two pictures"),
        (["--features", "none"], "looks at no reference"),
        (["--features", "none", "--decoder", "vae"], "looks at no picture"),
        (["--ref", "data.zip", "--seeds", "5-4"], "run backwards"),
        (["--guidance", "-1"], "guidance must be 0 or more"),
        (["--out", "real"], "holds other files"),
        (["--sampler", "ddim"], "belongs to ddpm"),
    ],
)
def test_skip_says_what_makes_no_sense(place: Path, capsys: Captured, arguments: list[str], word: str):
    assert main([*SKIP, *arguments]) == 2
    assert word in capsys.readouterr().err
    assert not (place / "run" / "studies").exists()


def test_a_folder_of_another_run_is_refused(place: Path, capsys: Captured):
    assert main([*REFINE, "--out", "out"]) == 0
    write_run(place / "other", SPEC.replace("width: 16", "width: 24"))
    assert main(["study", "refine", "other", *REFINE[3:], "--out", "out"]) == 2
    assert "holds a study of other settings: spec, weights" in capsys.readouterr().err


def test_a_file_of_weights_is_studied_though_its_data_stayed_elsewhere(place: Path, capsys: Captured):
    run = write_run(place / "far", SPEC + "data: {path: gone.zip}\n")
    (place / "sent.safetensors").write_bytes(next(run.glob("checkpoints/*/ema-0.999.safetensors")).read_bytes())
    quick = ["--seeds", "0-1", "--steps", "2", "--shares", "1", "--brick", "whole", "--backend", "eager"]
    for words, flag in ((["refine"], "--data"), (["skip", "--features", "tiny", *quick], "--ref")):
        assert main(["study", words[0], "sent.safetensors", *words[1:]]) == 2
        said = capsys.readouterr().err
        assert "the spec's data, gone.zip, is not here" in said
        assert f"give {flag}" in said
    assert main(["study", "refine", "sent.safetensors", *REFINE[3:]]) == 0
    assert main(["study", "skip", "sent.safetensors", "--features", "none", *quick]) == 0
    found = {path.name.split("-")[0] for path in (place / "studies" / "sent").iterdir()}
    assert found == {"refine", "skip"}


def test_refine_leaves_a_picture_a_table_and_a_plot(place: Path, capsys: Captured):
    assert main([*REFINE, "--out", "out"]) == 0
    said = capsys.readouterr()
    assert said.out.split()[:4] == ["sigma", "small", "parts", "whole"]
    assert "3 images of data.zip" in said.err
    assert [point["sigma"] for point in study(place / "out")["points"]] == [2.0, 0.1]
    with Image.open(place / "out" / "estimates.png") as picture:
        assert picture.height > 2 * 112
    assert (place / "out" / "plot.svg").is_file()
    # further levels join those that are there
    assert main([*REFINE, "--out", "out", "--sigmas", "0.1,1,2", "--json", "--image", "4"]) == 0
    said = capsys.readouterr()
    assert [point["sigma"] for point in json.loads(said.out)["points"]] == [2.0, 1.0, 0.1]
    assert "estimates.png shows 00004.png" in said.err
    assert main([*REFINE, "--image", "10"]) == 2
    assert main([*REFINE, "--data", "nowhere"]) == 2


def test_a_sweep_trains_every_stack_and_goes_on_where_it_stopped(
    place: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        signal_in_step(patched, 3, signal.SIGINT)
        assert main(SWEEP) == 130
    assert "stopped at 16 images of parts.depth=2" in capsys.readouterr().err
    assert main([*SWEEP, "--sweep", "parts.depth=1,2"]) == 2
    assert main(SWEEP) == 0
    said = capsys.readouterr()
    assert "1 of 2 stacks are trained already" in said.err
    assert "continuing from" in said.err
    assert "sigma <= 0.03" in said.out
    points = study(place / "sweep")["points"]
    assert [point["values"] for point in points] == [{"parts.depth": "1"}, {"parts.depth": "2"}]
    assert points[0]["macs"] < points[1]["macs"]
    assert all(point["images"] == 32 and point["held_out"] > 0 for point in points)
    assert main(["compare", "sweep/runs/parts.depth=1", "sweep/runs/parts.depth=2"]) == 0
    capsys.readouterr()
    assert main([*SWEEP, "--seed", "7"]) == 2
    assert "seed 0, not 7" in capsys.readouterr().err
    # how it is sampled changes no training
    assert main([*SWEEP, "--set", "sample.steps=9"]) == 0
    assert "2 of 2 stacks are trained already" in capsys.readouterr().err
    assert main([*SWEEP, "--set", "train.optimizer.lr=0.5"]) == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--set", "train.start_from=runs/other"], "which fit one of the stacks"),
        (["--sweep", "nose.depth=1"], "no brick `nose`"),
        (["--sweep", "whole.depth=0"], "depth"),
        (["--sweep", "whole.tallness=1"], "tallness"),
        (["--images", "none"], "--images none"),
        (["--held-out", "0"], "nothing is held out"),
        (["--data", "real"], "labels"),
    ],
)
def test_a_sweep_is_checked_whole_before_anything_is_trained(
    place: Path, capsys: Captured, arguments: list[str], word: str
):
    assert main([*SWEEP, *arguments]) == 2
    assert word in capsys.readouterr().err
    assert not (place / "sweep").exists()
