"""A loss that is finite and has left its range: told at once, and an end to the run where it does not come back.

A line of metrics is held against the median of the lines before it that are of the same bricks: the loss of a stage, or
of a configuration that training for skipping runs, is a quantity of its own. Lines are there already, so that
nothing waits for the device, and they say the same in every process and in a run that continues.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, cast

from legoc_runtime.errors import RunError
from legoc_runtime.training.metrics import METRICS_NAME, Metrics

FACTOR = 3.0
"""So many times its median is an explosion: lines of a sound run stray by tens of percent."""

WINDOW = 16
"""Lines that the median is over, and ..."""

LEAST = 8
"""... so many at least: the first lines of a run fall steeply."""

PATIENCE = 16
"""Lines in a row above the bound after which the loss is not expected back."""

_ADVICE = "lower the learning rate, lengthen the warm-up or set a smaller clip_norm (--change says that it is meant)"


class Watch:
    """Looks at every line of a run.

    Args:
        run: the run directory, whose earlier lines are read.
        images: images trained on at the last line that counts.
        stops: whether a loss that stays up ends the run; else its new level is taken for what it is.
        say: tells people.
    """

    def __init__(self, run: Path, *, images: int, stops: bool, say: Callable[[str], None]) -> None:
        self._stops = stops
        self._say = say
        self._courses: dict[tuple[str, ...], _Course] = {}
        self._now = _Course()
        for line in _read(run / METRICS_NAME, images):
            self._take(line)

    @property
    def exploded(self) -> bool:
        """Whether the loss is above the bound: what is learned meanwhile is worth no checkpoint."""
        return self._now.above > 0

    def look(self, line: Metrics) -> None:
        """Hold a line against those before it.

        Raises:
            RunError: the loss has been up for so long that it is not expected back.
        """
        before = self._courses.get(_trained(line), _Course())
        usual, above = before.usual, before.above
        self._take(line)
        now = self._now.above
        if now == 1 and above == 0:
            times = line.loss / max(usual, 1e-30)
            self._say(
                f"WARNING: the loss is {line.loss:.4g} at {line.images:,} images, {times:,.3g} times its median over "
                f"the lines before ({usual:.4g}); {self._where(line)}. If it does not come back, {_ADVICE}"
            )
        elif above and not now and line.loss <= FACTOR * usual:
            self._say(f"the loss is back at {line.loss:.4g}, after {above} lines")
        elif above and not now:
            self._say(f"the loss stays at {line.loss:.4g}: the lines to come are held against it")
        if now >= PATIENCE:
            raise RunError(
                f"the loss has exploded: {line.loss:.4g} at {line.images:,} images, over {FACTOR:g} times {usual:.4g}, "
                f"its median before, for {now} lines in a row; {self._where(line)}",
                help=f"{_ADVICE}; `train: {{on_explosion: warn}}` goes on where this is meant. Checkpoints of before "
                "are whole: --resume auto takes the last, --resume CHECKPOINT any",
            )

    def _take(self, line: Metrics | _Line) -> None:
        course = self._now = self._courses.setdefault(_trained(line), _Course())
        if len(course.before) >= LEAST and line.loss > FACTOR * course.usual:
            course.above += 1
            if self._stops or course.above < PATIENCE:
                return
            course.before.clear()
        course.above = 0
        course.before.append(line)

    def _where(self, line: Metrics) -> str:
        """Where it grew most: a brick, and a range of noise levels."""
        last = self._now.before[-1]
        brick = _grown(last.loss_by_brick, line.loss_by_brick)
        noise = _grown(last.loss_by_noise, line.loss_by_noise)
        return f"it grew most in brick `{brick}` and at {noise}"


class _Line:
    """A line of an earlier session, as far as it is looked at."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.loss = float(data["loss"])
        self.loss_by_brick = cast("dict[str, float | None]", data["loss_by_brick"])
        self.loss_by_noise = cast("dict[str, float | None]", data["loss_by_noise"])


@dataclass
class _Course:
    """Lines whose losses are of the same bricks.

    Attributes:
        before: those that were not above the bound, the newest last.
        above: how many in a row were since.
    """

    before: deque[Metrics | _Line] = field(default_factory=lambda: deque(maxlen=WINDOW))
    above: int = 0

    @property
    def usual(self) -> float:
        """The median."""
        return median(line.loss for line in self.before) if self.before else float("inf")


def _trained(line: Metrics | _Line) -> tuple[str, ...]:
    return tuple(brick for brick, loss in line.loss_by_brick.items() if loss is not None)


def _grown(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> str:
    """The name whose loss is the largest multiple of what it was."""
    shares = {name: loss / max(before.get(name) or 0.0, 1e-12) for name, loss in after.items() if loss is not None}
    return max(shares, key=lambda name: shares[name])


def _read(path: Path, images: int) -> list[_Line]:
    """The last lines of a run up to so many images; enough of them to know what the next is held against."""
    if not path.is_file():
        return []
    found: list[_Line] = []
    try:
        for text in path.read_bytes().splitlines()[-16 * (WINDOW + PATIENCE) :]:
            data: Any = json.loads(text)
            if data["images"] <= images:
                found.append(_Line(data))
    except (OSError, ValueError, KeyError, TypeError):
        return found  # a line cut short is the last one, which does not count
    return found
