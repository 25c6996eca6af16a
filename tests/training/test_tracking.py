"""Trackers: what they are told, that a run goes on in them, and that none of them costs a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from legoc.__main__ import main
from legoc_runtime.errors import UsageError
from legoc_runtime.training.progress import Quiet
from tests.training.tiny import SPEC, train_tiny


class Spoken(Quiet):
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


class StandIn:
    """The parts of wandb's and trackio's clients that are called, as their signatures have them."""

    def __init__(self, steps: list[tuple[int, dict[str, Any]]], begun: list[dict[str, Any]]) -> None:
        self.steps, self.begun, self.fails = steps, begun, False

    def init(self, **given: Any) -> StandIn:
        self.begun.append(given)
        return self

    def log(self, values: Mapping[str, Any], step: int) -> None:
        if self.fails:
            raise ConnectionError("the network is gone\nand more of it")
        self.steps.append((step, dict(values)))

    def finish(self) -> None:
        self.steps.append((-1, {}))


@pytest.fixture(params=["wandb", "trackio"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, StandIn]:
    """A stand-in for a package, which may be installed or not."""
    name: str = request.param
    package, stand_in = ModuleType(name), StandIn([], [])
    package.__spec__ = ModuleSpec(name, None, origin="stand-in")
    for key, value in {
        "init": stand_in.init,
        "finish": stand_in.finish,
        "Image": lambda path: f"image {Path(path).name}",
        "Settings": lambda **settings: settings,
    }.items():
        setattr(package, key, value)
    monkeypatch.setitem(sys.modules, name, package)
    return name, stand_in


def test_every_line_and_grid_is_told_and_the_same_run_goes_on(tmp_path: Path, client: tuple[str, StandIn]) -> None:
    name, told = client
    steps = iter(range(100))
    run, extra = tmp_path / "run", {"held_out": 0.3, "preview_images": 20, "preview_seeds": "0-1"}
    train_tiny(run, track=[name], stop=lambda: next(steps) >= 4, **extra)
    train_tiny(run, track=[name], **extra)
    assert [step for step, _ in told.steps] == [12, -1, 20, 20, 24, 32, 32, 32, -1]
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    first = told.steps[0][1]
    assert first["loss"] == metrics[0]["loss"]
    assert first["loss_by_brick/small"] == metrics[0]["loss_by_brick"]["small"]
    ranges = [key for key, value in metrics[0]["loss_by_noise"].items() if value is not None]
    assert first[f"loss_by_noise/{'sigma_0_1_to_0_3'}"] == metrics[0]["loss_by_noise"]["0.1 < sigma <= 0.3"]
    assert len([key for key in first if key.startswith("loss_by_noise/")]) == len(ranges)
    assert all(part.replace("_", "").isalnum() for key in first for part in key.split("/"))
    assert "held_out/loss" in told.steps[2][1]
    assert told.steps[3][1] == {"preview": "image 000000000020.png"}
    before, after = told.begun
    key = "id" if name == "wandb" else "name"
    assert before[key] == after[key]
    assert (before["project"], before["resume"], before["config"]["batch"]) == ("tiny", "allow", 4)


def test_a_tracker_that_fails_costs_no_run(tmp_path: Path, client: tuple[str, StandIn]) -> None:
    name, told = client
    told.fails = True
    progress = Spoken()
    assert train_tiny(tmp_path / "run", track=[name], progress=progress).finished
    words = [text for text in progress.said if "follows" in text]
    assert words == [f"{name} no longer follows the run: the network is gone; metrics.jsonl has everything"]


def test_a_run_that_was_followed_says_so_without_its_tracker(tmp_path: Path, client: tuple[str, StandIn]) -> None:
    name, _ = client
    train_tiny(tmp_path / "run", track=[name], images=8)
    progress = Spoken()
    train_tiny(tmp_path / "run", progress=progress)
    assert f"{name} has followed this run so far, and does not now: --track {name} goes on with it" in progress.said


def test_one_that_cannot_start_ends_the_command_before_training(tmp_path: Path, client: tuple[str, StandIn]) -> None:
    name, told = client

    def refuse(**_: Any) -> None:
        raise RuntimeError("no API key")

    sys.modules[name].init = refuse  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=f"{name} cannot follow this run: no API key"):
        train_tiny(tmp_path / "run", track=[name])
    assert not told.steps
    assert not (tmp_path / "run" / "metrics.jsonl").exists() or not (tmp_path / "run" / "metrics.jsonl").read_text()


def test_a_missing_package_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("legoc_runtime.training.trackers.tracker.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="--track wandb needs the package wandb") as caught:
        train_tiny(tmp_path / "run", track=["wandb"])
    assert caught.value.help == "pip install 'legoc[wandb]'"
    assert not (tmp_path / "run").exists()
    (tmp_path / "tiny.yaml").write_text(SPEC)
    assert main(["train", "tiny.yaml", "--data", str(tmp_path / "data.zip"), "--track", "comet", "-q"]) == 2
    assert "the trackers are tensorboard, wandb, trackio" in capsys.readouterr().err


def needs(package: str) -> Any:
    """A test of the real thing."""
    found = find_spec(package)
    missing = found is None or found.origin is None
    skip = pytest.mark.skipif(missing, reason=f"{package} is not installed: pip install 'legoc[{package}]'")
    return pytest.param(package, marks=[pytest.mark.trackers, skip])


@pytest.mark.parametrize("package", [needs("tensorboard"), needs("wandb"), needs("trackio")])
def test_the_real_package_follows_a_run_that_stops_and_goes_on(tmp_path: Path, package: str) -> None:
    """In a process of its own, on this machine alone: they start threads and processes, and read what they wrote."""
    code = f"import tests.training.tracked as t; t.follow({package!r}, {str(tmp_path)!r})"
    alone = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "TRACKIO_DIR": str(tmp_path / "trackio")}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=alone, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1:] == ["followed"], ended.stdout
