"""trackio: a database on this machine, or what TRACKIO_SPACE_ID and its other variables say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from legoc_runtime.training.trackers.tracker import Followed


class Trackio:
    """A tracker (`tracker.Tracker`). Its step is the images trained on; its run has the id in its name."""

    def __init__(self, followed: Followed) -> None:
        self._trackio: Any = import_module("trackio")
        with redirect_stdout(sys.stderr):  # it talks on stdout, which is for the checkpoint's path
            self._run: Any = self._trackio.init(
                project=followed.project,
                name=f"{followed.run.resolve().name}-{followed.id}",
                config=dict(followed.config),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, values: Mapping[str, float], images: int) -> None:
        """Numbers of a step."""
        self._run.log(dict(values), step=images)

    def picture(self, name: str, path: Path, images: int) -> None:
        """An image of a step."""
        self._run.log({name: self._trackio.Image(str(path))}, step=images)

    def finish(self) -> None:
        """Write what is left."""
        with redirect_stdout(sys.stderr):
            self._trackio.finish()  # the run's own leaves it open, and it would be closed once more on exit
