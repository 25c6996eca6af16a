"""What is compared of a run, read off its build and its metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path

from legoc.cost.counts import parameters, training_macs
from legoc.describe import read_build
from legoc.draw.curves import Curve, Plot
from legoc.history import METRICS_NAME, History, read_history
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.errors import RunError, UsageError

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Compared:
    """A run in a comparison.

    Attributes:
        label: its name, unlike that of every other run.
        path: its directory.
        manifest: its build.
        history: what it said of itself.
    """

    label: str
    path: Path
    manifest: Manifest
    history: History

    @property
    def top(self) -> str:
        """The brick whose estimate is the stack's."""
        return self.manifest.shape.ids[-1]

    @property
    def parameters(self) -> int:
        """Parameters of the stack."""
        return parameters(self.manifest.shape)

    @property
    def macs_an_image(self) -> int:
        """MACs of a training image, in the mean over the run that its spec asks for."""
        return training_macs(self.manifest.shape, self.manifest.train)

    @property
    def images(self) -> int:
        """Images trained on, by its last line."""
        return int(self.history.number("images") or 0)

    @property
    def seconds(self) -> float | None:
        """Seconds spent training, over all sessions."""
        return self.history.number("seconds")

    @property
    def loss(self) -> float | None:
        """The last training loss, the mean over the bricks."""
        return _last(self.history.total, "loss")

    @property
    def top_loss(self) -> float | None:
        """The last training loss of the top brick."""
        return _last(self.history.by_brick, self.top)

    @property
    def held_out_loss(self) -> float | None:
        """The last held-out loss of the top brick."""
        return _last(self.history.held_out_by_brick, self.top)

    def seconds_at(self, images: float) -> float | None:
        """Seconds spent training when so many images were trained on, between lines by proportion."""
        known = ((0.0, 0.0), *self.history.seconds)
        at = bisect_left(known, (images, 0.0))
        if len(known) == 1 or at >= len(known):
            return known[-1][1] if len(known) > 1 else None
        (x0, y0), (x1, y1) = known[max(at - 1, 0)], known[at]
        return y1 if x1 <= x0 else y0 + (y1 - y0) * (images - x0) / (x1 - x0)


def read_runs(paths: Sequence[Path]) -> tuple[Compared, ...]:
    """The runs at some paths.

    Raises:
        UsageError: one is no run, has no metrics, or is given twice.
        RunError: one cannot be read.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a run is given twice", help="give each once")
    names = [path.resolve().name for path in paths]
    labels = names if len(set(names)) == len(names) else [str(path) for path in paths]
    return tuple(_read(path, label) for path, label in zip(paths, labels, strict=True))


def _read(path: Path, label: str) -> Compared:
    try:
        manifest, _ = read_build(path)
        history = read_history(path)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    if history is None or not history.total:
        raise UsageError(f"{path} has no {METRICS_NAME} with a loss in it", help="give run directories")
    return Compared(label, path, manifest, history)


def differences(runs: Sequence[Compared]) -> Iterator[str]:
    """Why losses of these runs do not compare, in words; nothing where they do."""
    asked: tuple[tuple[str, Callable[[Compared], object]], ...] = (
        ("diffusion", lambda run: run.manifest.shape.diffusion),
        ("loss_weighting", lambda run: run.manifest.train.loss_weighting),
        ("data", lambda run: (run.manifest.data_path, run.manifest.data_resize)),
        ("grid", lambda run: (run.manifest.shape.grid, run.manifest.shape.channels)),
        ("held_out", lambda run: run.manifest.train.held_out),
    )
    for name, of in asked:
        if any(of(run) != of(runs[0]) for run in runs[1:]):
            yield f"the specs differ in {name}: their losses may count different things"
    if any(_weighed_otherwise(run, runs[0]) for run in runs[1:]):
        yield "the specs differ in loss_weight: losses of all bricks count them differently, those of one brick compare"


def _weighed_otherwise(one: Compared, other: Compared) -> bool:
    """Whether the loss over all bricks gives the same bricks other shares."""
    shapes = [run.manifest.shape for run in (one, other)]
    if set(shapes[0].ids) != set(shapes[1].ids):
        return False
    first, second = ([shape.loss_weight(id) for id in shapes[0].ids] for shape in shapes)
    return any(not isclose(a * sum(second), b * sum(first)) for a, b in zip(first, second, strict=True))


def comparison_plots(runs: Sequence[Compared]) -> tuple[Plot, ...]:
    """The loss of every run's top brick over images, time and MACs of training (axes of the paper's Figure 2).

    On held-out images where every run has some, else while training.
    """
    held_out = all(run.held_out_loss is not None for run in runs)
    which = "Held-out" if held_out else "Training"
    curves = [(run, _curve(run, held_out)) for run in runs]
    found = [(run, curve) for run, curve in curves if curve is not None]
    hours = [
        (run, [(run.seconds_at(x), y) for x, y in curve.points]) for run, curve in found if run.seconds is not None
    ]
    timed = [Curve(run.label, tuple((x, y) for x, y in points if x is not None)) for run, points in hours]
    longest = max((x for curve in timed for x, _ in curve.points), default=0.0)
    unit, seconds = ("hours", SECONDS_AN_HOUR) if longest >= 2 * SECONDS_AN_HOUR else ("minutes", 60.0)
    axes = (
        ("images", tuple(Curve(run.label, curve.points) for run, curve in found)),
        (f"{unit} of training", tuple(_scaled(curve, 1 / seconds) for curve in timed)),
        (
            "MACs of training",
            tuple(_scaled(Curve(run.label, curve.points), run.macs_an_image) for run, curve in found),
        ),
    )
    below = "of each stack's top brick"
    return tuple(
        Plot(f"{which} loss over {across}", curves, across, below)
        for across, curves in axes
        if curves and all(curve.points for curve in curves)
    )


def _curve(run: Compared, held_out: bool) -> Curve | None:
    curves = run.history.held_out_by_brick if held_out else run.history.by_brick
    return next((curve for curve in curves if curve.label == run.top), None)


def _scaled(curve: Curve, times: float) -> Curve:
    return Curve(curve.label, tuple((x * times, y) for x, y in curve.points))


def _last(curves: Sequence[Curve], label: str) -> float | None:
    return next((curve.points[-1][1] for curve in curves if curve.label == label), None)
