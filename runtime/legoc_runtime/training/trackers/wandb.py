"""Weights & Biases, by its own client: WANDB_MODE, WANDB_PROJECT and its other variables are heeded by it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from legoc_runtime.training.trackers.tracker import Followed


class WeightsAndBiases:
    """A tracker (`tracker.Tracker`). Its step is the images trained on, so that a run that goes on adds to its curves.

    Of a step that was sent before the run was cut short the client keeps the first numbers.
    """

    def __init__(self, followed: Followed) -> None:
        self._wandb: Any = import_module("wandb")
        self._run: Any = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT") or followed.project,
            id=followed.id,
            name=os.environ.get("WANDB_NAME") or followed.run.resolve().name,
            dir=str(followed.run),
            config=dict(followed.config),
            resume="allow",
            allow_val_change=True,
            # numbers and grids are sent, what the terminal shows is not
            settings=self._wandb.Settings(console="off"),
        )

    def log(self, values: Mapping[str, float], images: int) -> None:
        """Numbers of a step."""
        self._run.log(dict(values), step=images)

    def picture(self, name: str, path: Path, images: int) -> None:
        """An image of a step."""
        self._run.log({name: self._wandb.Image(str(path))}, step=images)

    def finish(self) -> None:
        """Send what is left."""
        self._run.finish()
