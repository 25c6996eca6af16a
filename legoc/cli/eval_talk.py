"""What `legoc eval` shows: a progress bar, and the table of metrics."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from legoc_runtime.evaluation.evaluate import Evaluation

BAR_AFTER_SECONDS = 2.0


def table(evaluation: Evaluation, nearest: dict[str, Any] | None) -> str:
    """The report for people: what was measured with what against what, and a line a metric."""
    images = evaluation.reference_images
    of_reference = "an unknown number of pictures" if images is None else f"{images:,} pictures"
    lines = [
        f"features   {evaluation.extractor}",
        f"reference  {evaluation.reference}, {of_reference} ({evaluation.reference_kind})",
    ]
    lines += [f"samples    {one.title}, {one.images:,} pictures" for one in evaluation.sets]
    lines.append("")
    names = {metric.key: metric.name for one in evaluation.sets for metric in one.metrics}
    width = max(map(len, names.values()))
    if len(evaluation.sets) == 1:
        for metric in evaluation.sets[0].metrics:
            spread = "" if metric.deviation is None else f" ± {_number(metric.deviation)}"
            lines.append(f"{metric.name:<{width}}  {_number(metric.value):>10}{spread}")
    else:
        lines.append(f"{f'over {len(evaluation.sets)} sets':<{width}}  {'minimum':>10} {'mean':>10} {'maximum':>10}")
        for key, values in evaluation.over_sets().items():
            lines.append(f"{names[key]:<{width}}  " + " ".join(f"{_number(value):>10}" for value in values))
    for name, why in evaluation.sets[0].left_out:
        lines.append(f"{name}: left out, {why}")
    if nearest is not None:
        lines += ["", *_nearest_lines(nearest)]
    return "\n".join(lines) + "\n"


def _nearest_lines(nearest: dict[str, Any]) -> list[str]:
    own = nearest["reference_to_itself"]["pixels"]
    distances = sorted(one["pixels"]["distance"] for one in nearest["samples"])
    middle = distances[len(distances) // 2]
    return [
        f"nearest    {nearest['picture']}",
        f"samples to the reference, pixels    nearest {distances[0]:.1f}, median {middle:.1f} grey levels (RMS)",
        f"reference to itself, pixels         nearest 1% below {own['lowest_percent']:.1f}, median {own['median']:.1f}",
        f"{nearest['as_near_as_closest_percent']:,} of {nearest['compared']:,} samples are as near to a reference "
        "picture as the closest 1% of those are to another",
    ]


def _number(value: float) -> str:
    return f"{value:.4g}"


class PictureBar:
    """A progress bar in pictures: only on a terminal, and only past two seconds."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total, self._done = total, 0
        self._shown = not quiet and sys.stderr.isatty()
        self._began = time.perf_counter()
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> PictureBar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def advance(self, pictures: int) -> None:
        """Count pictures that are done."""
        self._done += pictures
        if not self._shown:
            return
        if self._bar is None and time.perf_counter() - self._began > BAR_AFTER_SECONDS:
            self._bar = self._start()
        if self._bar is not None:
            progress, task = self._bar
            rate = self._done / (time.perf_counter() - self._began)
            progress.update(task, completed=self._done, rate=f"{rate:.3g}")

    def _start(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("features"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} pictures, {task.fields[rate]} a second"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        progress.start()
        return progress, progress.add_task("features", total=self._total, rate="-")
