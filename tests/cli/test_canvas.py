"""`legoc sample --size`: canvases of a small run, and what is refused before weights are read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from legoc.__main__ import main
from tests.cli.small_run import spec_text, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("project") / "small")


def sample(run: Path, *arguments: str) -> int:
    return main(["sample", str(run), "--seeds", "0-2", "--backend", "eager", "--device", "cpu", *arguments])


def test_canvases_are_made_and_recorded(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    regions = tmp_path / "regions.txt"
    regions.write_text("# left and right\n2:0,0,8,17\n3:12,0,20,17\n")
    asked = ["--size", "17x20", "--stride", "5", "--wrap", "--regions", str(regions), "--window-batch", "3"]
    assert sample(run, *asked, "--skip-policy", "late", "--sampler", "euler", "--npz", "-o", str(tmp_path / "a")) == 0
    said = capsys.readouterr().err
    assert "canvas 17x20: 8 windows of 16x8, stride 5, wrapped around; 2 regions, " in said
    with Image.open(tmp_path / "a" / "000001.png") as picture:
        assert picture.size == (20, 17)
    assert (tmp_path / "a" / "samples_3x17x20x3.npz").is_file()
    record = json.loads((tmp_path / "a" / "samples.json").read_text())
    assert record["request"]["shape"] == [3, 17, 20]
    assert record["request"]["canvas"] == {
        "size": [17, 20],
        "window": [16, 8],
        "stride": 5,
        "wrap": True,
        "way": "windows",
        "regions": [
            {"label": 2, "left": 0, "top": 0, "right": 8, "bottom": 17},
            {"label": 3, "left": 12, "top": 0, "right": 20, "bottom": 17},
        ],
    }
    assert record["how"]["window_batch"] == 3
    # guidance and regions included, every call of a window was foreseen
    assert record["conditioning_ahead"]["direct"] == 0


def test_a_set_with_another_stride_is_another_set(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert sample(run, "--size", "16x16", "--steps", "2", "-o", str(tmp_path / "a")) == 0
    assert sample(run, "--size", "16x16", "--steps", "2", "--stride", "4", "-o", str(tmp_path / "a")) == 2
    assert "another request" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--size", "15x64"), "a canvas of 15x64 is smaller than a window: the stack was trained on 16x8"),
        (("--size", "64by9"), "no size of a canvas"),
        (("--size", "16x16", "--stride", "9"), "leaves gaps"),
        (("--size", "16x16", "--regions", "1:0,0,99,9"), "leaves the canvas"),
        (("--size", "16x16", "--regions", "9:0,0,9,9"), "class 9, which is none"),
        (("--size", "16x16", "--regions", "nowhere.txt"), "cannot be read"),
        (("--stride", "3"), "--stride says something of a canvas"),
        (("--wrap",), "--wrap says something of a canvas"),
        (("--regions", "1:0,0,8,8"), "--regions says something of a canvas"),
        (("--size", "16x16", "--canvas", "round"), "there is no canvas `round`"),
        (("--size", "grid", "--no-wrap", "--stride", "3"), "--stride says something of a canvas"),
        (("--canvas", "windows"), "--canvas says something of a canvas"),
        (("--window-batch", "3"), "--window-batch says something of a canvas"),
    ],
)
def test_what_cannot_be_made_is_refused_before_weights_are_read(
    arguments: tuple[str, ...],
    words: str,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr("legoc_runtime.stack.load_bricks", None)
    assert sample(run, *arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


CANVAS = (
    "size: 17x20, stride: 5, wrap: true, regions: [{class: 2, box: [0, 0, 8, 17]}, {class: 3, box: [12, 0, 20, 17]}]"
)


def test_a_canvas_of_the_spec_is_that_of_the_flags_and_flags_override_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = write_run(tmp_path / "small", spec_text(sample=CANVAS))
    few = ("--steps", "2", "--sampler", "euler")
    records: dict[str, dict[str, Any]] = {}
    for name, flags in {
        "spec": (),
        "flags": ("--regions", "2:0,0,8,17;3:12,0,20,17", "--wrap"),
        "less": ("--no-wrap", "--regions", "none", "--size", "17x16"),
        "grid": ("--size", "grid"),
    }.items():
        assert sample(run, *few, *flags, "-o", str(tmp_path / name)) == 0
        said = capsys.readouterr().err
        records[name] = json.loads((tmp_path / name / "samples.json").read_text())["request"]
        if name == "spec":
            assert "canvas 17x20: 8 windows of 16x8, stride 5, wrapped around; 2 regions, " in said
        elif name == "less":
            assert "size: 17x16 instead of the spec's 17x20" in said
            assert "wrap: false instead of the spec's true" in said
            assert "regions: none instead of the spec's 2:0,0,8,17 and 3:12,0,20,17" in said
    assert records["spec"] == records["flags"]
    assert records["less"]["canvas"]["regions"] == []
    assert not records["less"]["canvas"]["wrap"]
    assert records["less"]["canvas"]["stride"] == 5
    assert "canvas" not in records["grid"]
    assert records["grid"]["shape"] == [3, 16, 8]
    # a set of canvases is not gone on with by pictures of another size
    assert sample(run, *few, "--size", "grid", "--resume", "-o", str(tmp_path / "spec")) == 2
    assert "shape [3, 17, 20], not [3, 16, 8], canvas" in capsys.readouterr().err


def test_cost_and_timeline_are_of_the_canvas_of_the_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    spec = tmp_path / "small.yaml"
    spec.write_text(spec_text(sample="size: 32x32, canvas: factorised"))
    assert main(["cost", str(spec), "--policy", "none", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["rows_by_brick"] == {"windows": 8, "parts": 8, "image": 20}
    assert main(["cost", str(spec), "--policy", "none", "--size", "grid", "--json"]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["canvas"] is None
    assert found.err == "size: grid instead of the spec's 32x32\n"
    assert main(["timeline", str(spec), "--policy", "late"]) == 0
    said = capsys.readouterr().out
    assert "canvas 32x32 · 5 steps" in said or "canvas 32x32 - 5 steps" in said
    saved = re.search(r"saves ([0-9.]+)%", said)
    assert main(["timeline", str(spec), "--policy", "late", "--set", "sample.canvas=windows"]) == 0
    less = re.search(r"saves ([0-9.]+)%", capsys.readouterr().out)
    # the image-brick runs on more windows than the others, so that leaving it out saves more
    assert saved is not None
    assert less is not None
    assert float(saved[1]) > float(less[1])


def test_a_search_says_that_it_looks_at_pictures_of_the_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = write_run(tmp_path / "small", spec_text(sample=CANVAS))
    few = ("--bands", "1", "--steps", "2", "--seeds", "0", "--check-seeds", "1", "--by", "macs", "--budget", "0.9")
    assert main(["policy", "search", str(run), *few, "--device", "cpu", "--backend", "eager"]) == 0
    assert "the spec samples canvases of 17x20; here pictures have the grid's own size" in capsys.readouterr().err


def test_a_factorised_canvas_of_one_window_is_the_picture(run: Path, tmp_path: Path):
    more = ["--skip-policy", "late", "--steps", "3"]
    assert sample(run, *more, "-o", str(tmp_path / "plain")) == 0
    assert sample(run, *more, "--size", "16x8", "--canvas", "factorised", "-o", str(tmp_path / "alone")) == 0
    pictures: list[Any] = []
    for name in ("plain", "alone"):
        with Image.open(tmp_path / name / "000001.png") as picture:
            pictures.append(np.asarray(picture).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    record = json.loads((tmp_path / "alone" / "samples.json").read_text())
    assert record["conditioning_ahead"]["direct"] == 0
    assert record["trace"]["runs"][0][2] == "windows+parts+image"


def test_patch_bricks_of_a_factorised_canvas_run_on_fewer_windows(run: Path, capsys: pytest.CaptureFixture[str]):
    macs: dict[str, int] = {}
    for way in ("windows", "factorised"):
        assert main(["cost", str(run), "--size", "32x32", "--canvas", way, "--policy", "none", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        macs[way] = found["policies"][0]["macs"]
        assert found["canvas"]["way"] == way
        sliding = 4 * 5
        expected = sliding if way == "windows" else 2 * 4
        assert found["rows_by_brick"] == {"windows": expected, "parts": expected, "image": sliding}
    assert macs["factorised"] < macs["windows"]
    assert main(["cost", str(run), "--size", "32x32", "--policy", "none"]) == 0
    assert "canvas 32x32: 20 windows of 16x8, stride 7; MACs are those of a canvas" in capsys.readouterr().out
