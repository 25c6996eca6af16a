"""A DDPM spec is checked, priced, drawn, built, trained and sampled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from legoc.__main__ import main
from tests.image_sets import labelled_zip

SPEC = """\
legoc: 1
name: two
grid: {height: 8, width: 8, channels: 3}
conditioning: {classes: 4}
diffusion: {kind: ddpm, variance: learned_range}
bricks:
  - {id: low, size: 4, depth: 1, width: 16, heads: 2}
  - {id: top, size: image, depth: 1, width: 16, heads: 2, skip: "t < 300"}
sample: {steps: 10, guidance: 2}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "two.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_cost_counts_one_evaluation_a_level(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(spec), "--json"]) == 0
    cost = json.loads(capsys.readouterr().out)
    assert (cost["sampler"], cost["steps"], cost["evaluations"]) == ("ddpm", 10, 10)
    none, _, default = cost["policies"]
    assert none["macs"] == 2 * 10 * cost["macs"]
    assert default["skipped"] == {"top": 3}  # of the timesteps 999, 888, ..., 111, 0
    assert main(["cost", str(spec)]) == 0
    assert "sampling: DDPM over 10 noise levels, 10 evaluations" in capsys.readouterr().out


def test_timeline_draws_its_levels(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", str(spec), "--ascii"]) == 0
    out = capsys.readouterr().out
    assert "10 steps, 10 evaluations" in out
    assert "step 7" in out
    assert main(["timeline", str(spec), "--steps", "2000"]) == 2
    assert "diffusion of 1,000 timesteps" in capsys.readouterr().err


def test_it_builds_trains_and_samples(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(spec), "--dry-run"]) == 0
    assert main(["build", str(spec)]) == 0
    data = labelled_zip(spec.parent / "data.zip", count=6, classes=4)
    options = ["--data", str(data), "--images", "8", "--batch", "4", "--backend", "eager", "-q"]
    assert main(["train", *options]) == 0
    (line,) = (spec.parent / "runs/two/metrics.jsonl").read_text().splitlines()
    assert set(json.loads(line)["loss_by_brick"]) == {"low", "top"}
    capsys.readouterr()
    assert main(["sample", "--seeds", "0-2", "--backend", "eager"]) == 0
    said = capsys.readouterr()
    assert "DDPM: 10 steps, 10 evaluations, guidance 2" in said.err
    assert "taking `default`" in said.err
    record = json.loads((Path(said.out.strip()) / "samples.json").read_text(encoding="utf-8"))
    assert record["request"]["schedule"]["variance"] == "learned_range"
    assert record["trace"]["runs"] == [[0, 7, "low+top"], [7, 3, "low"]]
    assert len(list(Path(said.out.strip()).glob("0*.png"))) == 3
    assert main(["sample", "--seeds", "0", "--sampler", "ddim", "--eta", "0.5", "--backend", "eager", "-q"]) == 0
    record = json.loads((Path(capsys.readouterr().out.strip()) / "samples.json").read_text(encoding="utf-8"))
    assert record["request"]["settings"]["eta"] == 0.5
    assert main(["sample", "--sampler", "heun"]) == 2
    assert "belongs to edm" in capsys.readouterr().err


def test_a_pretrained_brick_of_diffusers_without_weights_is_priced_and_not_built(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = spec.parent / "model"
    model.mkdir()
    (model / "config.json").write_text(
        json.dumps({"_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3}), "utf-8"
    )
    (model / "scheduler_config.json").write_text(json.dumps({"_class_name": "DDPMScheduler"}), "utf-8")
    brick = "bricks:\n  - {id: base, pretrained: {kind: diffusers_unet, path: model}}"
    spec.write_text(SPEC.replace("bricks:", brick), encoding="utf-8")
    for command in ("check", "cost", "timeline", "graph"):
        assert main([command, str(spec), *(["--format", "svg"] if command == "graph" else [])]) == 0, command
        capsys.readouterr()
    for command in ("build", "train"):
        assert main([command, str(spec)]) == 2
        assert "model holds no weights" in capsys.readouterr().err
