"""The directory of samples: pictures, grid, record, and what is never overwritten."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from legoc_runtime.contract.policy import Policy
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling import pictures
from legoc_runtime.sampling.output import SampleDirectory
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.record import Source, read_record
from legoc_runtime.sampling.run import SamplingRun
from tests.sampling.fakes import FormulaStack, plan, shape

SOURCE = Source(
    "small", "5" * 64, "runs/small/checkpoints/1/ema-0.999.safetensors", "a" * 64, 1000, "ema-0.999", "0.1.0"
)


def look(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def fill(path: Path, wanted: Plan, *, batch: int = 2, overwrite: bool = False) -> dict[str, object]:
    directory = SampleDirectory(path, wanted, SOURCE)
    directory.claim(overwrite=overwrite)
    run = SamplingRun(FormulaStack(wanted.shape), wanted)
    return directory.fill(run, batch=batch, how={"device": "cpu", "backend": "eager"}, macs_saved=0.25)


def test_a_set_holds_pictures_a_grid_and_everything_to_make_it_again(tmp_path: Path):
    wanted = plan(seeds=(3, 4, 12))
    fill(tmp_path / "out", wanted)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "000003.png",
        "000004.png",
        "000012.png",
        "grid.png",
        "samples.json",
    ]
    assert look(tmp_path / "out" / "grid.png").shape == (2 * 8 + 2, 2 * 8 + 2, 3)
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert record["complete"] is True
    assert record["request"]["policy"] == {"name": "late", "skips": {"image": "sigma < 0.5"}}
    assert record["request"]["seeds"] == "3-4,12"
    assert record["request"]["classes"] == list(wanted.labels or ())
    assert record["source"]["kind"] == "ema-0.999"
    assert record["policy"]["breaks"] == [
        {"brick": "image", "step": 4, "sigma": wanted.table.levels[4].sigma, "runs": False}
    ]
    assert record["policy"]["skipped"] == {"windows": 0, "parts": 0, "image": 2}
    # the correction of step 3 evaluates level 4, so it already runs without the brick
    assert record["trace"]["runs"] == [[0, 7, "windows+parts+image"], [7, 4, "windows+parts"]]
    assert len(record["trace"]["calls"]) == len(wanted.evaluations)
    assert record["timing"]["macs_saved"] == 0.25
    assert record["pictures"][2] == {"seed": 12, "class": wanted.labels[2], "file": "000012.png"}


def test_pictures_are_the_samplers_estimates(tmp_path: Path):
    wanted = plan(seeds=(0, 1, 2))
    fill(tmp_path / "out", wanted)
    sampled = torch.cat([b.pictures for b in SamplingRun(FormulaStack(shape()), wanted).batches(2)])
    for seed in wanted.seeds:
        shown = look(tmp_path / "out" / f"{seed:06d}.png").transpose(2, 0, 1)
        assert np.array_equal(shown, pictures.to_uint8(sampled)[seed])


def test_latents_are_kept_as_numbers(tmp_path: Path):
    latent = shape(channels=4)
    fill(tmp_path / "out", plan(seeds=(0, 1), stack=latent))
    kept = np.load(tmp_path / "out" / "000001.npy")
    assert kept.shape == (4, 8, 8)
    assert kept.dtype == np.float32
    assert not (tmp_path / "out" / "grid.png").exists()


def test_the_same_request_may_be_made_again_and_another_may_not(tmp_path: Path):
    fill(tmp_path, plan(seeds=(0, 1, 2)))
    fill(tmp_path, plan(seeds=(0, 1, 2)), batch=1)
    with pytest.raises(UsageError, match="another request"):
        fill(tmp_path, plan(Policy("none"), seeds=(0, 1, 2)))
    fill(tmp_path, plan(Policy("none"), seeds=(7,)), overwrite=True)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["000007.png", "grid.png"]


def test_files_of_others_are_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds no samples"):
        fill(tmp_path, plan())
    fill(tmp_path, plan(), overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_record_cannot_name_files_elsewhere_for_removal(tmp_path: Path):
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"x")
    record = fill(tmp_path / "out", plan(seeds=(0,)))
    record["pictures"] = [{"seed": 0, "class": 0, "file": "../outside.png"}]
    (tmp_path / "out" / "samples.json").write_text(json.dumps(record))
    fill(tmp_path / "out", plan(seeds=(1,)), overwrite=True)
    assert outside.exists()


def test_a_run_that_stops_leaves_its_claim_marked_incomplete(tmp_path: Path):
    class Lies(FormulaStack):
        def bricks_run(self, configuration):
            return self.shape.ids

    wanted = plan()
    directory = SampleDirectory(tmp_path, wanted, SOURCE)
    directory.claim()
    with pytest.raises(RunError):
        directory.fill(SamplingRun(Lies(shape()), wanted), batch=5, how={})
    record = read_record(tmp_path)
    assert record is not None
    assert record["complete"] is False
    fill(tmp_path, wanted)


def test_what_is_there_of_a_half_made_set_goes_when_it_is_overwritten(tmp_path: Path):
    wanted = plan(seeds=(0, 1))
    SampleDirectory(tmp_path, wanted, SOURCE).claim()
    (tmp_path / "000001.png").write_bytes(b"made before the power cut")
    fill(tmp_path, plan(seeds=(5,)), overwrite=True)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["000005.png", "grid.png"]


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch):
    target = tmp_path / "000000.png"
    target.write_bytes(b"old")

    def full(self, other):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunError, match="No space left"):
        pictures.write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("text", ["{", "[]", '{"samples_version": 99}'])
def test_a_record_of_another_kind_is_not_overwritten(tmp_path: Path, text: str):
    (tmp_path / "samples.json").write_text(text)
    with pytest.raises(RunError):
        fill(tmp_path, plan())


def test_grey_levels_are_edms():
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).view(1, 1, 1, 5)
    assert pictures.to_uint8(values).flatten().tolist() == [0, 0, 128, 255, 255]


def test_a_grid_is_near_square_with_thin_gaps():
    cells = [np.full((1, 4, 6), value, dtype=np.uint8) for value in range(5)]
    sheet = pictures.grid(cells)
    assert sheet.shape == (1, 2 * 4 + 2, 3 * 6 + 4)
    assert sheet[0, 6, 8] == 4
    assert sheet[0, 4, 0] == pictures.GRID_GREY
    assert sheet[0, -1, -1] == pictures.GRID_GREY
