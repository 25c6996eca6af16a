"""`legoc ema`: an average of any width, after the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.options import count
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError

LARGE_ERROR = 0.05
"""From this on, relative to the profile asked for, the command says that the run kept too few averages."""


def command(
    run: Annotated[Path, Argument(help="A run that was trained with `ema_profiles`.")],
    sigma_rel: Annotated[float, Option(help="Width of the average, relative to the length of training: 0.05, 0.1.")],
    images: Annotated[
        str | None,
        Option(help="Images trained on at the step that it is of. [default: the last kept]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        Option(
            "-o", "--out", help="Weights file. [default: RUN/averages/IMAGES-WIDTH.safetensors]", show_default=False
        ),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the file if it is there.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Make an average of the weights with another power-function profile than the run kept (EDM2, post-hoc EMA).

    Averages of two widths or so, kept at some steps (`train: {ema_profiles: [0.05, 0.1]}`), are added up so that their
    profiles come closest to the one asked for. The file is printed on stdout; `legoc sample` takes it.
    """
    from legoc_runtime.checkpoint import Header
    from legoc_runtime.checkpoint.layout import AVERAGES, PROFILE_PREFIX
    from legoc_runtime.checkpoint.tensorfile import SUFFIX, replace_file
    from legoc_runtime.contract.profiles import MAX_WIDTH
    from legoc_runtime.training.posthoc import plan

    if not 0.001 < sigma_rel <= MAX_WIDTH:
        raise UsageError(f"--sigma-rel {sigma_rel:g} is no width", help=f"give one above 0.001, up to {MAX_WIDTH}")
    found = plan(run, sigma_rel, None if images is None else count(images, "--images"))
    place = out if out is not None else run / AVERAGES / f"{found.images:012d}-{sigma_rel!r}{SUFFIX}"
    if place.exists() and not overwrite:
        raise UsageError(f"{place} exists", help="--overwrite replaces it")
    if place.suffix != SUFFIX:
        raise UsageError(f"{place} is no name for weights", help=f"let it end in {SUFFIX}")
    if not quiet:
        echo(f"{len(found.parts)} averages, profile met within {found.error:.2%}", err=True)
        if found.error > LARGE_ERROR:
            echo("the run kept too few averages for this width: it is another one's mixture", err=True)
    of = found.parts[-1]
    header = Header(of.spec_text, of.spec_hash, found.images).metadata(f"{PROFILE_PREFIX}{sigma_rel!r}")
    try:
        replace_file(place, found.tensors(), header)
    except OSError as error:
        raise RunError(f"{place} cannot be written: {error.strerror or error}", help="make room on the disk") from error
    echo(place)
