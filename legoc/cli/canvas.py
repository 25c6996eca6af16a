"""Canvases as `sample` and `cost` are asked for them: flags over what the spec says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from legoc.cli.options import known_sampler, overridden, refuse_noise_of_another
from legoc.cli.output import echo
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc_runtime.contract.settings import Region, SampleSettings

MAX_BYTES = 1_000_000
"""Of a file of regions."""


def canvas_flags(
    size: str | None,
    stride: int | None,
    canvas: str | None,
    wrap: bool | None,
    regions: str | None = None,
) -> dict[str, object]:
    """The keys of `sample:` that flags of canvases set; None where a flag was not given.

    Args:
        size: `HxW`, or `grid` for pictures of the grid's size.
        stride: from one window to the next.
        canvas: `windows` or `factorised`.
        wrap: whether the right border goes on at the left one.
        regions: a list of regions, a file with one, or `none`.

    Raises:
        UsageError: a text that cannot be read as its value.
    """
    from legoc_runtime.contract.canvas_request import known_way, parse_size, size_text

    return {
        "size": None if size is None else size_text(parse_size(size)),
        "stride": stride,
        "canvas": None if canvas is None else known_way(canvas),
        "wrap": wrap,
        "regions": None if regions is None else _read(regions),
    }


def refuse_idle_canvas(settings: SampleSettings, flags: Mapping[str, object], rows: int | None = None) -> None:
    """Refuse flags that say something of a canvas where none is made.

    Args:
        settings: what the spec says, with the flags.
        flags: those of `canvas_flags`, among others.
        rows: `--window-batch`.

    Raises:
        UsageError: naming the flag.
    """
    from legoc_runtime.contract.settings import GRID

    if settings.size != GRID:
        return
    given = {f"--{name}": flags.get(name) not in (None, False) for name in ("stride", "wrap", "regions")}
    given |= {"--window-batch": rows is not None, "--canvas": flags.get("canvas") is not None}
    if idle := [flag for flag, is_given in given.items() if is_given]:
        raise UsageError(f"{idle[0]} says something of a canvas", help="pass --size HxW too")


def settings_on_grid(settings: SampleSettings, sampler: str | None, flags: Mapping[str, object]) -> SampleSettings:
    """Settings of a run's spec under the flags of a command that looks at pictures of the grid's size.

    What the flags change is said, and that there is no canvas where the spec has one.

    Args:
        settings: the spec's.
        sampler: `--sampler`.
        flags: the others, as `overridden` takes them.

    Raises:
        UsageError: there is no such sampler, or it does not take the spec's noise.
    """
    from legoc_runtime.contract.canvas_request import on_grid
    from legoc_runtime.contract.settings import GRID

    refuse_noise_of_another(settings, known_sampler(sampler))
    found, notices = overridden(settings, {"sampler": sampler, **flags})
    for notice in notices:
        echo(notice, err=True)
    if found.size == GRID:
        return found
    echo(f"the spec samples canvases of {found.size}; here pictures have the grid's own size", err=True)
    return on_grid(found)


def _read(regions: str) -> tuple[Region, ...]:
    """Regions as they were listed, or those of a file where the text names one."""
    from legoc_runtime.contract.canvas_request import parse_regions

    if regions == "none":
        return ()
    if ":" in regions and not Path(regions).suffix:
        return parse_regions(regions)
    try:
        with Path(regions).open(encoding="utf-8") as file:
            return parse_regions(file.read(MAX_BYTES))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--regions {regions[:60]} cannot be read: {getattr(error, 'strerror', None) or error}",
            help="give a file, or a list such as 3:0,0,64,32;5:64,0,128,32",
        ) from error
