"""What `legoc train` shows on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from legoc_runtime.training.metrics import Metrics
from legoc_runtime.training.progress import Lines, Progress, Quiet, summary

if TYPE_CHECKING:
    import rich.progress


def open_progress(quiet: bool) -> Progress:
    """The progress that fits: a bar on a terminal, lines in a log, nothing when it is to be quiet."""
    if quiet:
        return Quiet()
    return Bar() if sys.stderr.isatty() else Lines(sys.stderr)


class Bar:
    """A bar in images, with the loss and the speed of the last line of metrics.

    Attributes:
        words: what is said of a line of metrics.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.words: Callable[[Metrics], str] = summary
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} images"),
            TextColumn("{task.fields[news]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: rich.progress.TaskID | None = None

    def say(self, text: str) -> None:
        """Write a line, above the bar while there is one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, *, images: int, total: int) -> None:
        """Show the bar."""
        self._task = self._bar.add_task("training", total=total, completed=images, news="")
        self._bar.start()

    def advance(self, images: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.update(self._task, completed=images)

    def log(self, metrics: Metrics) -> None:
        """Show loss and speed."""
        if self._task is not None:
            self._bar.update(self._task, news=self.words(metrics))

    def end(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()
