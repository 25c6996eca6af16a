"""`legoc eval` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from legoc.__main__ import main
from tests.evaluation.small_sets import pixels, write_extractor, write_folder, write_samples

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with samples, a reference and an extractor, and no cache but its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_samples(tmp_path / "samples", pixels(8))
    write_folder(tmp_path / "real", pixels(12, seed=1))
    write_extractor(tmp_path / "tiny")
    for name in ("manifest.json", "spec.yaml", "checkpoints/1/state.json"):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).touch()
    return tmp_path


def test_a_table_says_features_reference_and_number_of_pictures(place: Path, capsys: Captured):
    assert main(["eval", "samples", "--ref", "real", "--features", "tiny"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[:3] == [
        "features   tiny",
        "reference  real, 12 pictures (pictures)",
        "samples    samples, 8 pictures",
    ]
    assert "Fréchet distance (tiny features)" in said.out
    assert "FID" not in said.out
    assert "warning: Fréchet distance (tiny features) from 8 pictures is too high" in said.err
    assert (place / "cache" / "legoc" / "features").is_dir()


@pytest.mark.usefixtures("place")
def test_json_of_three_sets(capsys: Captured):
    np.savez("samples.npz", pixels(9).transpose(0, 2, 3, 1))
    line = ["eval", "samples.npz", "--split", "3", "--ref", "real", "--features", "tiny", "--json", "--no-cache", "-q"]
    assert main(line) == 0
    said = capsys.readouterr()
    assert said.err == ""
    found = json.loads(said.out)
    assert found["eval_version"] == 1
    assert [one["images"] for one in found["sets"]] == [3, 3, 3]
    assert found["over_sets"]["frechet"].keys() == {"name", "min", "mean", "max"}
    assert len(found["warnings"]) >= 3
    assert not Path("cache").exists()


@pytest.mark.usefixtures("place")
def test_nearest_and_statistics_are_written(capsys: Captured):
    line = ["eval", "samples", "--ref", "real", "--features", "tiny", "--nearest", "near.png", "--write-stats", "s.npz"]
    assert main(line) == 0
    assert "0 of 8 samples are as near" in capsys.readouterr().out
    with Image.open("near.png") as sheet:
        assert sheet.format == "PNG"
    assert main(["eval", "samples", "--ref", "s.npz", "--features", "tiny"]) == 0
    assert "kernel distance (tiny features): left out" in capsys.readouterr().out


BAD = {
    "features": (["samples", "--ref", "real", "--features", "dino"], "there are no features `dino`"),
    "no inception here": (["samples", "--ref", "real", "--inception-weights", "w.pth"], "no weights at w.pth"),
    "weights of another": (["samples", "--ref", "real", "--features", "tiny", "--inception-weights", "w"], "of no use"),
    "no samples": (["none", "--ref", "real", "--features", "tiny"], "there is no image set at none"),
    "a run": (["run", "--ref", "real", "--features", "tiny"], "run is a build, a run or an exported folder"),
    "no reference": (["samples", "--ref", "none", "--features", "tiny"], "there is no image set at none"),
    "split": (["samples", "--ref", "real", "--features", "tiny", "--split", "3"], "not 3 sets"),
    "nearest of several": (
        ["samples", "samples", "--ref", "real", "--features", "tiny", "--nearest", "x.png"],
        "--nearest compares one set",
    ),
    "nearest in another form": (["samples", "--ref", "real", "--nearest", "x.jpg"], "is no PNG"),
    "statistics in another form": (["samples", "--ref", "real", "--write-stats", "x.csv"], "is no .npz"),
    "cache and none": (["samples", "--ref", "real", "--cache", "c", "--no-cache"], "contradict each other"),
}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("case", BAD)
def test_bad_requests(case: str, capsys: Captured):
    arguments, message = BAD[case]
    assert main(["eval", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err


@pytest.mark.usefixtures("place")
def test_there_is_nothing_to_be_near_to_in_statistics(capsys: Captured):
    assert main(["eval", "samples", "--ref", "real", "--features", "tiny", "--write-stats", "s.npz"]) == 0
    for flag, value in (("--nearest", "x.png"), ("--write-stats", "x.npz")):
        assert main(["eval", "samples", "--ref", "s.npz", "--features", "tiny", flag, value]) == 2
        assert "s.npz holds statistics" in capsys.readouterr().err
