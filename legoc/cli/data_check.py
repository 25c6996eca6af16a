"""`legoc data check`: everything that is wrong with a set, before a run finds it. Needs no torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from legoc.cli.data_progress import counting
from legoc.cli.options import Overrides, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from legoc.data.findings import DataReport
    from legoc.data.wanted import Wanted
    from legoc.spec import StackSpec
    from legoc_runtime.data import LatentDataset
    from legoc_runtime.data.labels import Labels
    from legoc_runtime.data.sources import ImageSource

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
EXIT_FINDINGS = 1


def command(
    data: Annotated[
        Path | None,
        Argument(help="A zip, folder, shards, set or latents. [default: the spec's]", show_default=False),
    ] = None,
    spec: Annotated[
        Path | None, Option(help="Hold the set against this spec: sizes, labels, sigma_data.", show_default=False)
    ] = None,
    held_out: Annotated[
        Path | None,
        Option(help="Images that must not be trained on; looked for in the set.", metavar="DATA", show_default=False),
    ] = None,
    sheet: Annotated[
        Path | None,
        Option(help="Draw a contact sheet of what a stack sees into this file.", metavar="PNG", show_default=False),
    ] = None,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of text.")] = False,
    overrides: Overrides = None,
) -> None:
    """Read every image of a set, and say all that is wrong with it.

    Files that cannot be read, sizes, labels and classes without images, duplicates, images of one colour, values in a
    narrow range; with --held-out what both sets hold, to the pixel or nearly; with --spec what the stack does not take,
    and a standard deviation that is not its sigma_data. Of latents also the checksums of their shards.

    The exit code is 1 when something was found.
    """
    for path in (data, spec, held_out):
        refuse_stdin(path, "data check")
    if sheet is not None and sheet.suffix.lower() not in PICTURES:
        raise UsageError(f"{sheet} is not named as a picture", help="end the name of --sheet in .png")
    if overrides and spec is None:
        raise UsageError("--set changes a spec, and there is none", help="give --spec")
    from legoc.data.table import table
    from legoc.data.wanted import Wanted

    found = _load(spec, overrides or []) if spec is not None else None
    wanted = Wanted() if found is None else Wanted(found.shape, found.data_resize, found.train.flip)
    path = data if data is not None else _path_of(found)
    report, draw = _examine(path.expanduser(), wanted, held_out)
    if json:
        from json import dumps

        echo(dumps(report.to_json(), indent=1, ensure_ascii=False))
    else:
        echo(table(report), nl=False)
    if sheet is not None:
        _draw(sheet, report, draw)
        echo(f"sheet: {sheet}", err=True)
    sys.exit(EXIT_FINDINGS if report.findings else 0)


def _load(path: Path, overrides: list[str]) -> StackSpec:
    from legoc.spec import load_spec

    return load_spec(path, overrides)


def _path_of(spec: StackSpec | None) -> Path:
    if spec is None or spec.data_path is None:
        raise UsageError("there is no set to check", help="give its path, or --spec SPEC with `data: {path: ...}`")
    return Path(spec.data_path)


class Drawing(NamedTuple):
    """What a sheet is drawn of.

    Attributes:
        labels: of the images, and the names of their classes.
        pixels: an image by its index.
    """

    labels: Labels
    pixels: Callable[[int], NDArray[np.uint8]]


def _examine(path: Path, wanted: Wanted, held_out: Path | None) -> tuple[DataReport, Drawing]:
    from legoc_runtime.data import LatentDataset
    from legoc_runtime.data.latents import is_latents
    from legoc_runtime.data.open_source import open_source

    if is_latents(path):
        if held_out is not None:
            raise UsageError("latents are not compared with held-out images", help="check the images themselves")
        return _examine_latents(LatentDataset(path), wanted)
    source = open_source(path)
    held = None if held_out is None else open_source(held_out.expanduser())
    return _examine_images(source, wanted, held)


def _examine_images(source: ImageSource, wanted: Wanted, held: ImageSource | None) -> tuple[DataReport, Drawing]:
    from legoc.data.examine import examine, pixels_of

    with counting(len(source.names) + (len(held.names) if held else 0), "images read") as progress:
        report = examine(source, wanted, held, progress)
    return report, Drawing(source.labels, partial(pixels_of, source, wanted=wanted))


def _examine_latents(data: LatentDataset, wanted: Wanted) -> tuple[DataReport, Drawing]:
    from legoc.data.latents import examine_latents
    from legoc.data.sheet import latent_pixels

    with counting(len(data), "latents read") as progress:
        report = examine_latents(data, wanted, progress)

    def pixels(index: int) -> NDArray[np.uint8]:
        return latent_pixels(data.scaled_mean(index), data.index.std)

    return report, Drawing(data.labels, pixels)


def _draw(path: Path, report: DataReport, drawing: Drawing) -> None:
    from legoc.data.sheet import contact_sheet, rows_of

    what = f"{report.examples:,} {report.form}, {report.labels}"
    deviation = "" if report.values is None else f", standard deviation {report.values.std:.3g}"
    rows = rows_of(drawing.labels.classes, drawing.labels.names, report.examples)
    picture = contact_sheet(report.path, f"{what}{deviation}", rows, drawing.pixels)
    try:
        picture.save(path)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}", help="choose another --sheet") from error
