"""From pictures to latents, to a run on them, and to pictures again, through a real AutoencoderKL of diffusers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from legoc.__main__ import main
from tests.evaluation.small_sets import write_extractor
from tests.image_sets import labelled_zip
from tests.training.tiny import SPEC
from tests.vaes import write_vae

HERE = ("--device", "cpu", "--backend", "eager", "--quiet")
FEATURES = ("--ref", "data.zip", "--features", "tiny", "--device", "cpu")


@pytest.mark.peers
def test_a_stack_over_latents_is_trained_sampled_decoded_judged_and_studied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_vae(tmp_path / "vae")
    labelled_zip(tmp_path / "data.zip", size=(32, 32))
    write_extractor(tmp_path / "tiny")
    over_latents = (
        SPEC.replace("channels: 3", "channels: 4") + "data: {path: latents}\nsample: {steps: 3, decoder: vae}\n"
    )
    Path("tiny.yaml").write_text(over_latents)

    assert main(["data", "encode", "data.zip", "--vae", "vae", "--out", "latents", "--flip", "--device", "cpu"]) == 0
    assert main(["build", "tiny.yaml"]) == 0
    assert main(["train", *HERE]) == 0
    few = ("--seeds", "0-3", "--skip-policy", "halfway", *HERE)
    assert main(["sample", *few, "--out", "at_once"]) == 0
    assert main(["sample", *few, "--decoder", "none", "--out", "kept"]) == 0
    assert main(["decode", "kept", "--decoder", "vae", "--out", "later", "--device", "cpu", "--quiet"]) == 0
    for name in (*(f"00000{seed}.png" for seed in range(4)), "grid.png"):
        assert Path("at_once", name).read_bytes() == Path("later", name).read_bytes()
    # canvases of several windows: whole, and in tiles, which overlap and so differ a little
    for way in ("tiles", "whole"):
        assert main(["sample", "--seeds", "0", "--size", "8x20", "--decode", way, *HERE, "--out", way]) == 0
        assert json.loads(Path(way, "samples.json").read_text())["request"]["decoder"]["picture"] == [3, 32, 80]
    capsys.readouterr()
    assert main(["eval", "at_once", *FEATURES, "--no-cache"]) == 0
    assert "Fréchet distance (tiny features)" in capsys.readouterr().out
    study = ["--seeds", "0-3", "--shares", "0.5", "--brick", "whole", "--backend", "eager", "--out", "study"]
    assert main(["study", "skip", *FEATURES, *study]) == 0
    said = capsys.readouterr()
    assert "Fréchet (tiny)" in said.out
    assert "latents are decoded to 32x32 by vae, 1 at once; squared errors are of latents" in said.err
    assert Path("study/pictures/whole-late-0.5.png").is_file()
    assert main(["report", "runs/tiny", "-o", "page.html"]) == 0
