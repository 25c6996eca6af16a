"""Two sessions of a run that a real tracker follows, and what it then holds. Prints `followed` alone on stdout."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from tests.training.tiny import train_tiny

STEPS = [12, 24, 32]


def follow(package: str, folder: str) -> None:
    """Train, stop, go on; then read what the package keeps on this machine."""
    run, steps = Path(folder) / "run", iter(range(100))
    given: dict[str, Any] = {"track": [package], "preview_images": 32, "preview_seeds": "0"}
    train_tiny(run, stop=lambda: next(steps) >= 4, **given)
    train_tiny(run, **given)
    {"tensorboard": _tensorboard, "wandb": _wandb, "trackio": _trackio}[package](run)
    print("followed")


def _tensorboard(run: Path) -> None:
    events: Any = import_module("tensorboard.backend.event_processing.event_accumulator")
    found = events.EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    found.Reload()
    assert [event.step for event in found.Scalars("loss")] == STEPS
    assert [event.step for event in found.Scalars("loss_by_brick/small")] == STEPS
    assert [event.step for event in found.Images("preview")] == [32]


def _wandb(run: Path) -> None:
    folders = sorted((run / "wandb").glob("offline-run-*"))
    assert len(folders) == 2, folders
    assert len({path.name.rpartition("-")[2] for path in folders}) == 1, "one id"
    assert [*run.glob("wandb/offline-run-*/files/media/images/preview*.png")]


def _trackio(run: Path) -> None:
    storage: Any = import_module("trackio.sqlite_storage").SQLiteStorage
    (name,) = storage.get_runs("tiny")
    logs = storage.get_logs("tiny", name)
    assert [log["step"] for log in logs if "loss" in log] == STEPS, logs
    assert any("preview" in log for log in logs)
