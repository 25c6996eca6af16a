"""`legoc migrate`: what is written, what is refused, and that training goes on from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import legoc.migrate.run as run_room
import legoc.migrate.write as write_room
from legoc.__main__ import main
from legoc.migrate.plan import plan_migration, read_renames
from legoc.review.tensors import TensorPlan
from legoc_runtime.checkpoint import read_state, verify
from legoc_runtime.checkpoint.tensorfile import load, metadata
from legoc_runtime.errors import UsageError
from legoc_runtime.store import WeightStore
from legoc_runtime.training.optimizer import Optimizer
from legoc_runtime.training.precision import FIRST_SCALE
from tests.migrate.made import IMAGES, write_trained
from tests.review.gallery import BASE, NEW, ONE, SINGLE, WHOLE, WINDOWS, resolved
from tests.training.tiny import SPEC as TINY
from tests.training.tiny import tiny_data, train_tiny

DEEPER = BASE.replace(WINDOWS, NEW + WINDOWS).replace("depth: 2", "depth: 3").replace("single", "parts")
"""A new bottom brick, more depth, and a brick of another id."""

MOVED = BASE.replace(SINGLE + WHOLE, WHOLE + SINGLE).replace("single", "parts")
"""A brick of another id in another place, which no comparison can know for the same one."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of BASE with one checkpoint."""
    write_trained(tmp_path / "run", BASE)
    return tmp_path / "run"


def spec_of(folder: Path, text: str) -> str:
    path = folder / "after.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_averages_that_a_run_kept_stay_with_it(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run / "checkpoints", run / "averages")
    assert main(["migrate", str(run), spec_of(tmp_path, DEEPER), "--check-only"]) == 0
    assert f"averages kept for `legoc ema` stay in {run / 'averages'}" in capsys.readouterr().out


def test_all_files_of_a_checkpoint_are_carried_over(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, spec = contents(run), spec_of(tmp_path, DEEPER)
    assert main(["migrate", str(run), spec, "--set", "train.ema=[0.99]"]) == 0
    out, err = capsys.readouterr()
    made = tmp_path / "run-migrated"
    assert out == f"{made}\n"
    assert "extra+windows+parts+whole  equal bit by bit" in err
    assert "ema-0.99 begins at the weights" in err
    assert contents(run) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.yaml", "run", "run-migrated"]

    checkpoint, origin = made / "checkpoints" / f"{IMAGES:012d}", run / "checkpoints" / f"{IMAGES:012d}"
    state, was = verify(checkpoint), read_state(origin)
    assert sorted(state["files"]) == [f"{k}.safetensors" for k in ("ema-0.99", "ema-0.9999", "optimizer", "weights")]
    assert (state["images"], state["step"], state["seconds"]) == (IMAGES, 40, 7.0)
    assert state["migrated_from"]["files"] == was["files"]
    assert state["migrated_from"]["spec_hash"] == was["spec_hash"] != state["spec_hash"]
    for kind in ("weights", "ema-0.9999", "ema-0.99", "optimizer"):
        header = metadata(checkpoint / f"{kind}.safetensors")
        assert json.loads(header["legoc.migrated_from"])["images"] == IMAGES
        assert "id: extra" in header["legoc.spec"]
    for kind in ("weights", "ema-0.9999"):
        old, new = load(origin / f"{kind}.safetensors"), load(checkpoint / f"{kind}.safetensors")
        assert torch.equal(new["bricks.parts.embed.weight"], old["bricks.single.embed.weight"])
        widened = new["bricks.windows.embed.weight"]
        assert not widened[:, :12].any()
        assert torch.equal(widened[:, 12:], old["bricks.windows.embed.weight"])
    moments, new = load(checkpoint / "optimizer.safetensors"), load(checkpoint / "weights.safetensors")
    assert torch.equal(moments["exp_avg/bricks.parts.embed.weight"], new["bricks.parts.embed.weight"] ** 2)
    assert torch.equal(moments["exp_avg_sq/bricks.windows.embed.weight"], new["bricks.windows.embed.weight"] ** 2)
    assert moments["step/bricks.parts.embed.weight"] == 40
    assert not any("bricks.extra." in key or "whole.blocks.2" in key for key in moments)
    assert not moments["meter/losses"].any()
    assert moments["meter/losses"].shape[0] == 4
    begun = load(checkpoint / "ema-0.99.safetensors")
    assert all(torch.equal(begun[key], weight) for key, weight in new.items())

    capsys.readouterr()
    assert main(["inspect", str(made)]) == 0
    told = f"from {origin} at {IMAGES} images, of the spec {was['spec_hash'][:16]}"
    out = capsys.readouterr().out
    assert f"\nmigrated        {told}\n" in out
    assert f"\n  migrated {told}\n" in out
    assert "migration.json" in out
    assert main(["inspect", str(checkpoint / "weights.safetensors"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["tensors"]["migrated_from"]
    assert said == {"spec_hash": was["spec_hash"], "images": IMAGES, "path": None}
    assert main(["build", "--check", str(made)]) == 0
    capsys.readouterr()
    record = json.loads((made / "migration.json").read_text())
    assert record["renamed"] == {"single": "parts"}
    assert {o["equal_bit_by_bit"] for o in record["outcomes"] if o["must_be_equal"]} == {True}


def test_training_and_sampling_go_on_from_a_migrated_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_tiny(tmp_path / "run", images=8)
    deeper = TINY.replace("receptive_field: 4}", "receptive_field: 4, depth: 2}").replace("  - {id: s", NEW_TINY)
    made = str(tmp_path / "made")
    assert main(["migrate", str(tmp_path / "run"), spec_of(tmp_path, deeper), "-o", made, "-q"]) == 0
    tiny_data(tmp_path)
    flags = ["--data", str(tmp_path / "data.zip"), "--backend", "eager", "--device", "cpu", "--images", "16"]
    assert main(["train", made, *flags]) == 0
    out, err = capsys.readouterr()
    assert "continuing from" in err
    assert out.endswith(f"{made}/checkpoints/{16:012d}\n")
    moments = load(Path(made) / "checkpoints" / f"{16:012d}" / "optimizer.safetensors")
    # a weight that was there is two steps on, a new one begins with its own first
    assert (moments["step/bricks.whole.blocks.0.mlp.fc1.weight"], moments["step/bricks.base.embed.weight"]) == (4, 2)
    assert main(["sample", made, "--seeds", "0", "--steps", "2", "--backend", "eager", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("was", "now", "scale"), [("fp16", "fp16", 1024), ("float32", "fp16", FIRST_SCALE), ("fp16", "bf16", None)]
)
def test_training_in_float16_goes_on_with_a_scale_of_the_loss(
    tmp_path: Path, was: str, now: str, scale: float | None
) -> None:
    one = f"{ONE}train: {{precision: {was}}}\n"
    write_trained(tmp_path / "run", one, ema=())
    spec = spec_of(tmp_path, one.replace(was, now))
    assert main(["migrate", str(tmp_path / "run"), spec, "-q", "--set", "bricks.whole.depth=2"]) == 0
    moments = load(tmp_path / "run-migrated" / "checkpoints" / f"{IMAGES:012d}" / "optimizer.safetensors")
    found = moments.get("loss_scale/scale")
    assert (None if found is None else float(found)) == scale
    stack = resolved(one, f"train.precision={now}", "bricks.whole.depth=2")
    Optimizer(WeightStore(stack.shape), stack.train).load(moments)


NEW_TINY = "  - {id: base, size: 4, receptive_field: 2}\n  - {id: s"


def test_a_rename_that_no_comparison_can_know_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = spec_of(tmp_path, MOVED)
    assert main(["migrate", str(run), spec, "--check-only"]) == 2
    assert "bricks.single is gone" in capsys.readouterr().err
    assert main(["migrate", str(run), spec, "--check-only", "--rename", "single=parts"]) == 0
    out = capsys.readouterr().out
    assert "windows+whole+parts  differs by" in out
    assert "windows+parts        equal bit by bit" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.yaml", "run"]


@pytest.mark.parametrize(
    ("renames", "words"),
    [
        (["single"], "expected the id before"),
        (["a=b", "a=c"], "renamed already"),
        (["a=c", "b=c"], "renamed already"),
    ],
)
def test_renames_that_make_no_sense_are_refused(renames: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_renames(renames)


def test_renames_of_bricks_that_are_not_there_are_refused(run: Path, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, MOVED)
    with pytest.raises(UsageError, match="the checkpoint has no brick `parts`"):
        plan_migration(run, spec, renames={"parts": "single"})
    with pytest.raises(UsageError, match="the spec has no brick `single`"):
        plan_migration(run, spec, renames={"single": "single"})


def test_a_refusal_shows_reasons_both_places_and_all_tensors(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = spec_of(tmp_path, BASE.replace("width: 32", "width: 64"))
    assert main(["migrate", str(run), spec, "-o", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"--> {spec}:7:25" in err
    assert "(spec in its header)" in err
    assert "  = a token has other features" in err
    assert "bricks.whole.blocks.1.mlp.fc2.weight (32, 128) -> (64, 256)" in err
    assert "and 1 more" not in err
    assert main(["migrate", str(run), spec, "--check-only", "--json"]) == 2
    data = json.loads(capsys.readouterr().out)
    assert (data["migrate_version"], data["possible"], data["equal_where_it_must_be"]) == (1, False, None)
    assert {"how", "before", "after", "shape_before", "shape_after"} == set(data["lost"][0])
    assert not (tmp_path / "out").exists()


def test_one_file_of_weights_becomes_one_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inside = run / "checkpoints" / f"{IMAGES:012d}" / "ema-0.9999.safetensors"
    spec = spec_of(tmp_path, DEEPER)
    assert main(["migrate", str(inside), spec]) == 2
    assert "lies in a run" in capsys.readouterr().err
    alone = tmp_path / "alone.safetensors"
    shutil.copy(inside, alone)
    assert main(["migrate", str(alone), spec, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    made = tmp_path / "alone-migrated.safetensors"
    assert data["out"] == str(made)
    assert metadata(made)["legoc.kind"] == "ema-0.9999"
    assert torch.equal(load(made)["bricks.parts.embed.bias"], load(alone)["bricks.single.embed.bias"])
    assert main(["inspect", str(made)]) == 0
    assert main(["migrate", str(alone), spec]) == 2
    assert "is there already" in capsys.readouterr().err


def test_nothing_is_written_inside_what_is_migrated_or_over_anything(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, before = spec_of(tmp_path, DEEPER), contents(run)
    for out, words in ((run / "new", "which stays as it is"), (tmp_path, "is there already")):
        assert main(["migrate", str(run), spec, "-o", str(out)]) == 2
        assert words in capsys.readouterr().err
    assert main(["migrate", str(run), spec, "--check-only", "-o", "x"]) == 2
    assert contents(run) == before


def test_a_stack_that_does_not_compute_what_it_must_is_not_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = run_room.carried

    def wrong(plan: TensorPlan, tensors: dict[str, Tensor], new: dict[str, Tensor]) -> dict[str, Tensor]:
        found = carried(plan, tensors, new)
        return found | {"bricks.parts.embed.bias": found["bricks.parts.embed.bias"] * 1.001}

    monkeypatch.setattr(run_room, "carried", wrong)
    assert main(["migrate", str(run), spec_of(tmp_path, DEEPER)]) == 3
    err = capsys.readouterr().err
    assert "windows+whole              equal bit by bit" in err
    assert "windows+parts+whole        NOT EQUAL: differs by" in err
    assert "nothing was written" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.yaml", "run"]


def test_damage_and_a_full_disk_leave_nothing_behind(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    spec = spec_of(tmp_path, DEEPER)
    with monkeypatch.context() as patch:
        patch.setattr(write_room, "write_build", full)
        assert main(["migrate", str(run), spec]) == 3
    assert "cannot be written: No space left on device" in capsys.readouterr().err
    weights = run / "checkpoints" / f"{IMAGES:012d}" / "optimizer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert main(["migrate", str(run), spec]) == 3
    assert "does not have the checksum" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.yaml", "run"]


def test_planning_needs_no_torch(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from legoc.__main__ import main; code = main(sys.argv[1:]); "
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    spec = spec_of(tmp_path, BASE.replace("width: 32", "width: 64"))
    found = subprocess.run([sys.executable, "-c", code, "migrate", str(run), spec], capture_output=True, check=False)
    assert found.returncode == 2, found.stderr
