"""A progress bar in pictures, for commands that make or look at many."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

BAR_AFTER_SECONDS = 2.0


class PictureBar:
    """Pictures done and pictures a second: only on a terminal, and only past two seconds.

    Args:
        what: what is going on, a word.
        total: pictures.
        rounds: how often each picture is counted before it is done, e.g. once an evaluation.
        aside: what else to say, after the rate.
        quiet: whether nothing is shown.
    """

    def __init__(self, what: str, total: int, *, rounds: int = 1, aside: str = "", quiet: bool) -> None:
        self._what, self._total, self._rounds, self._aside = what, total, rounds, aside
        self._counted = 0
        self._shown = not quiet and sys.stderr.isatty()
        self._began = time.perf_counter()
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> PictureBar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def advance(self, pictures: int) -> None:
        """Count one round of so many pictures."""
        self._counted += pictures
        if not self._shown:
            return
        elapsed = time.perf_counter() - self._began
        if self._bar is None and elapsed > BAR_AFTER_SECONDS:
            self._bar = self._start()
        if self._bar is not None:
            progress, task = self._bar
            done = self._counted / self._rounds
            progress.update(task, completed=done, rate=f"{done / elapsed:.3g}")

    def _start(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn(self._what),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} pictures, {task.fields[rate]} a second" + self._aside),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        progress.start()
        return progress, progress.add_task(self._what, total=self._total, rate="-")
