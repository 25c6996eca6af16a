"""`legoc plot`: the curves of a run, in the terminal or as a picture. Needs no torch."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.options import given_or_newest
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from legoc.draw.curves import Plot
    from legoc.history import History

PLOT_VERSION = 1


def command(
    run: Annotated[
        Path | None, Argument(help="A run directory. [default: the newest run in runs/]", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, Option("-o", "--out", help="Write an SVG file instead of text.", show_default=False)
    ] = None,
    ascii: Annotated[bool, Option("--ascii", help="Text in ASCII characters only.")] = False,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of text.")] = False,
) -> None:
    """Draw what a run says of itself: its loss over the images trained on, in all, by brick and by noise level.

    Text goes to stdout; with -o FILE.svg the picture goes to the file and its path to stdout. Where a run has more
    than 300 lines of metrics, a point is the mean of several. Axes that span much are logarithmic and say so.
    """
    if out is not None and out.suffix.lower() != ".svg":
        raise UsageError(f"{out} is not an SVG file", help="give -o a name that ends in .svg")
    if (out is not None) + ascii + json > 1:
        raise UsageError("-o, --ascii and --json are three forms of the same", help="give one of them")
    place = given_or_newest(run)
    history = read_run(place)
    if out is not None:
        _write(out, f"{place.resolve().name}: training", history.plots)
        echo(out)
    elif json:
        from json import dumps

        echo(dumps(_as_json(place, history), indent=1, ensure_ascii=False))
    else:
        echo(_text(history.plots, ascii), nl=False)
    if history.previews and not json:
        file = history.previews[-1][1]
        echo(f"note: grids of samples at {len(history.previews):,} places, the last {place / file}", err=True)
    if history.unread:
        echo(f"note: {history.unread:,} of the file's lines could not be read", err=True)


def read_run(run: Path) -> History:
    """What a run says of itself.

    Raises:
        UsageError: it has no line of metrics with a loss yet, or is no run.
        RunError: its metrics cannot be read.
    """
    from legoc.history import METRICS_NAME, read_history

    try:
        history = read_history(run)
    except OSError as error:
        raise RunError(f"{run / METRICS_NAME} cannot be read: {error.strerror}") from error
    if history is None or not history.plots:
        raise UsageError(
            f"{run} has no metrics to draw", help="give a run directory, which `legoc train` writes metrics.jsonl into"
        )
    return history


def _write(out: Path, title: str, plots: Sequence[Plot]) -> None:
    from legoc.draw.curves import plots_svg

    try:
        out.write_text(plots_svg(title, plots), encoding="utf-8")
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror}", help="choose another -o") from error


def _text(plots: Sequence[Plot], ascii: bool) -> str:
    """Blocks where the output's encoding has them, ASCII where it has not or was asked for."""
    from legoc.draw.sparkline import ASCII, BLOCKS, plots_text

    width = shutil.get_terminal_size().columns
    text = plots_text(plots, width=width, levels=ASCII if ascii else BLOCKS)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return plots_text(plots, width=width, levels=ASCII)
    return text


def _as_json(run: Path, history: History) -> dict[str, object]:
    return {
        "plot_version": PLOT_VERSION,
        "run": str(run),
        "lines": history.lines,
        "unread": history.unread,
        "lines_a_point": history.lines_a_point,
        "previews": [{"images": images, "file": file} for images, file in history.previews],
        "plots": [
            {
                "title": plot.title,
                "across": plot.across,
                "curves": [{"name": curve.label, "points": curve.points} for curve in plot.curves],
            }
            for plot in history.plots
        ],
    }
