"""What a run tells the people who wait for it."""

from __future__ import annotations

import math
import time
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
    """

    def __init__(self, stream: TextIO, *, seconds: float = 10.0) -> None:
        self._stream = stream
        self._seconds = seconds
        self._last = -math.inf
        self._total = 0

    def say(self, text: str) -> None:
        """Write the line."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def begin(self, *, images: int, total: int) -> None:
        """Remember the total."""
        self._total = total

    def log(self, metrics: Metrics) -> None:
        """Write images, loss and speed, unless the last such line is recent; the last of a run always."""
        now = time.monotonic()
        if now - self._last >= self._seconds or metrics.images >= self._total:
            self._last = now
            self.say(f"{metrics.images:,} of {self._total:,} images, {summary(metrics)}")


def summary(metrics: Metrics) -> str:
    """Loss and speed in words."""
    return f"loss {metrics.loss:.4f}, {metrics.images_per_second:,.0f} images/s"
