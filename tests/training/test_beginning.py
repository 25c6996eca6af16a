"""Runs that begin with weights of another: `legoc train --from`."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from legoc.__main__ import main
from legoc.cli.train_from import weights_to_begin_with
from legoc_runtime.checkpoint import checkpoints, find_weights, read_state
from legoc_runtime.checkpoint.tensorfile import load, metadata
from legoc_runtime.errors import UsageError
from legoc_runtime.interop.folder import write_folder
from tests.image_sets import labelled_zip
from tests.interop.foreign_files import torch_file
from tests.training.tiny import SPEC, tiny_build, train_tiny


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("source") / "run"
    train_tiny(run)
    return run


def test_weights_and_averages_begin_there_and_the_optimizer_anew(source: Path, tmp_path: Path) -> None:
    """A step so small that it leaves every weight within 1e-20 of where it began."""
    file = find_weights(source)
    assert file.kind == "ema-0.9"
    outcome = train_tiny(tmp_path / "run", start_from=file, images=4, learning_rate=1e-25)
    assert (outcome.images, outcome.finished) == (4, True)
    begun = load(file.path)
    assert outcome.checkpoint is not None
    for name in ("weights", "ema-0.9", "ema-0.5"):
        for key, tensor in load(outcome.checkpoint / f"{name}.safetensors").items():
            torch.testing.assert_close(tensor, begun[key], rtol=1e-6, atol=1e-20)
    moments = load(outcome.checkpoint / "optimizer.safetensors")
    assert {float(tensor) for name, tensor in moments.items() if name.startswith("step/")} == {1.0}
    said = read_state(outcome.checkpoint)["started_from"]
    assert (said["images"], said["kind"], said["file"]) == (32, "ema-0.9", str(file.path))
    header = json.loads(metadata(outcome.checkpoint / "weights.safetensors")["legoc.started_from"])
    assert header == said


def test_it_stops_and_goes_on_as_any_run_and_keeps_where_it_came_from(source: Path, tmp_path: Path) -> None:
    file = find_weights(source / "checkpoints" / "000000000020", ema="none")
    whole = train_tiny(tmp_path / "whole", start_from=file)
    steps = iter(range(100))
    train_tiny(tmp_path / "parted", start_from=file, stop=lambda: next(steps) >= 3)
    with pytest.raises(UsageError, match=r"the run has begun already, with .*weights\.safetensors"):
        train_tiny(tmp_path / "parted", start_from=find_weights(source))
    # with --from as the command was given first, or without
    steps = iter(range(100))
    train_tiny(tmp_path / "parted", start_from=file, stop=lambda: next(steps) >= 2)
    parted = train_tiny(tmp_path / "parted")
    assert whole.checkpoint is not None
    assert parted.checkpoint is not None
    for name in ("weights", "optimizer"):
        one, other = (load(end / f"{name}.safetensors") for end in (whole.checkpoint, parted.checkpoint))
        assert all(tensor.equal(other[key]) for key, tensor in one.items())
    states = [read_state(end)["started_from"] for end in (whole.checkpoint, parted.checkpoint)]
    assert states[0] == states[1]
    with pytest.raises(UsageError, match="with weights drawn by its seed, and --from names"):
        train_tiny(source, start_from=file, images=40)


def test_another_architecture_is_refused_and_pointed_to_migrate(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wide.yaml").write_text(SPEC.replace("width: 16", "width: 32"))
    labelled_zip(Path("data.zip"))
    train = ["train", "wide.yaml", "--data", "data.zip", "--device", "cpu", "--backend", "eager", "-q"]
    assert main([*train, "--from", str(source)]) == 2
    err = capsys.readouterr().err
    assert "is of another architecture than this spec (condition_width, bricks)" in err
    assert f"`legoc migrate {source} SPEC`" in err.replace("\n", " ")
    assert not Path("runs").exists()


def test_what_was_exported_trains_on_and_what_others_wrote_is_imported_first(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SPEC)
    labelled_zip(Path("data.zip"))
    manifest, text = tiny_build()
    file = find_weights(source)
    write_folder(manifest, file, load(file.path), Path("exported"))
    found = weights_to_begin_with(Path("exported"), text)
    assert (found.kind, found.images, found.path.parts[0]) == (file.kind, file.images, "exported")
    save_file({"x": torch.zeros(1)}, "theirs.safetensors")
    train = ["train", "tiny.yaml", "--data", "data.zip", "--device", "cpu", "--backend", "eager", "-q"]
    assert main([*train, "--from", "theirs.safetensors"]) == 3
    assert "`legoc import` makes one" in capsys.readouterr().err
    assert not Path("runs").exists()
    assert main([*train, "--from", "exported", "--out", "fine", "--images", "4", "--batch", "2"]) == 0
    (end,) = checkpoints(Path("fine"))
    assert read_state(end)["started_from"]["file"] == str(found.path)


def test_imported_weights_train_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch_file(Path("released.pt"), "lego_tiny_pg")
    assert main(["import", "released.pt", "-o", "imported", "--heads", "4", "-q"]) == 0
    labelled_zip(Path("data.zip"), size=(32, 32))
    train = ["train", "imported/spec.yaml", "--from", "imported", "--out", "fine", "--data", "data.zip", "-q"]
    assert main([*train, "--device", "cpu", "--backend", "eager", "--images", "4", "--batch", "2"]) == 0
    (end,) = checkpoints(Path("fine"))
    state = read_state(end)
    assert (state["step"], state["started_from"]["kind"], state["started_from"]["images"]) == (2, "weights", 0)
    before, after = load(find_weights(Path("imported")).path), load(end / "weights.safetensors")
    assert sum(float((after[key] - tensor).abs().max()) for key, tensor in before.items()) > 0
    assert all((after[key] - tensor).abs().max() < 1e-3 for key, tensor in before.items())
    assert main(["inspect", "fine"]) == 0
    words = (
        f"its run began with {find_weights(Path('imported')).path} (SHA-256 {state['started_from']['sha256'][:12]}...)"
    )
    assert words in capsys.readouterr().out


def test_what_a_run_begins_with_is_a_key_of_its_spec(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flag overrides it and says so; a run that goes on does not look it up again, and refuses another."""
    monkeypatch.chdir(tmp_path)
    labelled_zip(Path("data.zip"))
    Path("tiny.yaml").write_text(SPEC)
    source = Path(shutil.copytree(source, "source"))
    key = "train.start_from=source"
    train = ["train", "tiny.yaml", "--data", "data.zip", "--batch", "2", "--backend", "eager"]
    assert main([*train, "--set", key, "--images", "4", "--out", "by-key"]) == 0
    assert main([*train, "--from", str(source), "--images", "4", "--out", "by-flag"]) == 0
    assert f"start_from: {source}" in capsys.readouterr().err
    one, other = (load(checkpoints(Path(run))[-1] / "weights.safetensors") for run in ("by-key", "by-flag"))
    assert all(tensor.equal(other[name]) for name, tensor in one.items())
    source.rename("gone")
    assert main([*train, "--set", key, "--images", "8", "--out", "by-key"]) == 0
    capsys.readouterr()
    assert main([*train, "--set", "train.start_from=elsewhere", "--images", "12", "--out", "by-key"]) == 2
    assert "train.start_from names elsewhere" in capsys.readouterr().err
    assert main([*train, "--set", key, "--images", "4", "--out", "new"]) == 2
    assert not Path("new").exists()


def test_settings_that_begin_with_weights_want_them(tmp_path: Path) -> None:
    """Whoever calls the runtime looks them up: nothing begins otherwise than its settings say."""
    manifest, text = tiny_build()
    asking = replace(manifest, train=replace(manifest.train, start_from="elsewhere"))
    with pytest.raises(UsageError, match=r"train\.start_from\), which were not given"):
        train_tiny(tmp_path / "run", (asking, text))
