"""What a run tells the people who wait for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from legoc_runtime.training.metrics import Metrics


class Progress(Protocol):
    """Receives the news of a run; a command shows them as it likes."""

    def say(self, text: str) -> None:
        """One line that people should read."""
        ...

    def begin(self, *, images: int, total: int) -> None:
        """Training begins at `images` of `total`."""
        ...

    def advance(self, images: int) -> None:
        """The run has been asked to train up to `images`; called every step, so it must be quick."""
        ...

    def log(self, metrics: Metrics) -> None:
        """A line of metrics was written."""
        ...

    def end(self) -> None:
        """Training is over, for whatever reason."""
        ...


class Quiet:
    """Progress that nobody watches."""

    def say(self, text: str) -> None:
        """Nothing."""

    def begin(self, *, images: int, total: int) -> None:
        """Nothing."""

    def advance(self, images: int) -> None:
        """Nothing."""

    def log(self, metrics: Metrics) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Lines(Quiet):
    """Progress as plain lines: for log files, and where there is no terminal.

    Args:
        stream: where they go.
        seconds: at most one line of metrics in so many seconds; `metrics.jsonl` has them all.

    Attributes:
        words: what is said of a line of metrics.
    """

    def __init__(self, stream: TextIO, *, seconds: float = 10.0) -> None:
        self._stream = stream
        self._seconds = seconds
        self._last = -math.inf
        self._total = 0
        self.words: Callable[[Metrics], str] = summary

    def say(self, text: str) -> None:
        """Write the line."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def begin(self, *, images: int, total: int) -> None:
        """Remember the total."""
        self._total = total

    def log(self, metrics: Metrics) -> None:
        """Write images, loss, speed and time left, unless the last such line is recent; the last of a run always."""
        now = time.monotonic()
        if now - self._last >= self._seconds or metrics.images >= self._total:
            self._last = now
            self.say(
                f"{metrics.images:,} of {self._total:,} images, {self.words(metrics)}{_left(metrics, self._total)}"
            )


def summary(metrics: Metrics) -> str:
    """Loss and speed in words."""
    return f"loss {metrics.loss:.4f}, {metrics.images_per_second:,.0f} images/s"


def _left(metrics: Metrics, total: int) -> str:
    """How long the rest takes at this speed, in words; nothing where none is left."""
    if metrics.images >= total or metrics.images_per_second <= 0:
        return ""
    minutes, seconds = divmod(round((total - metrics.images) / metrics.images_per_second), 60)
    hours, minutes = divmod(minutes, 60)
    return f", {f'{hours:,} h {minutes:02} min' if hours else f'{minutes} min {seconds:02} s'} left"
