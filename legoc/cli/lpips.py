"""`legoc lpips`: how far pictures are from each other, or the parts of panoramas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from legoc_runtime.evaluation.crops import Spread
    from legoc_runtime.evaluation.lpips import Lpips
    from legoc_runtime.evaluation.picture_set import PictureSet

LPIPS_VERSION = 1
CROPS = 8
PROTOCOL = (
    "every pair of crops of one picture counts; deviations are of all pairs, and of the pictures' own means. How many "
    "crops and pairs, and which trunk, the paper's Table 7 has was not at hand"
)


def command(
    samples: Annotated[
        Path,
        Argument(help="What `legoc sample` wrote, another folder of pictures, a .zip, or an .npz.", show_default=False),
    ],
    weights: Annotated[
        list[Path] | None,
        Option(
            metavar="FILE",
            help="torchvision's alexnet or vgg16 (.pth, .safetensors); again for the linear heads of lpips.",
            show_default=False,
        ),
    ] = None,
    crop: Annotated[
        str | None,
        Option(
            metavar="HxW",
            help="Compare crops of this size within each picture: on a grid, and at random places. "
            "[default: of canvases that `legoc sample` made, their window]",
            show_default=False,
        ),
    ] = None,
    crops: Annotated[int | None, Option(help="Random crops a picture. [default: 8]", min=2, show_default=False)] = None,
    seed: Annotated[int | None, Option(help="Of random places. [default: 0]", min=0, show_default=False)] = None,
    against: Annotated[
        Path | None,
        Option(
            metavar="OTHER", help="Compare with these pictures instead, one by one: the same seeds.", show_default=False
        ),
    ] = None,
    batch: Annotated[int, Option(min=1, help="With --against: pairs at once.")] = 16,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of a table.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Measure LPIPS: between the crops of each panorama, as mean and deviation, or between two sets of pictures.

    Among the crops of a picture, low is one that repeats itself, high one whose parts do not belong together. Weights
    come from files: nothing is fetched, and no code in them is run.
    """
    size = _asked(samples, weights, crop, crops, seed, against)
    from legoc.interop.lpips import read_lpips
    from legoc_runtime.backends.device import choose_device
    from legoc_runtime.evaluation.picture_set import open_pictures

    where = choose_device(device)
    pictures = open_pictures(samples)
    other = None if against is None else open_pictures(against)
    network = read_lpips(weights or (), where)
    if other is not None:
        from legoc.cli.picture_bar import PictureBar
        from legoc_runtime.evaluation.crops import between_sets

        with PictureBar("lpips", len(pictures), quiet=quiet) as bar:
            spreads = [between_sets(pictures, other, network, batch=batch, on_pictures=bar.advance)]
    else:
        assert size is not None, "one of the two was asked for"
        spreads = _crops(pictures, network, size, CROPS if crops is None else crops, seed or 0, quiet)
    if json:
        from json import dumps

        echo(dumps(_report(pictures, network, spreads), indent=1, ensure_ascii=False))
    else:
        echo(_table(pictures, network, spreads), nl=False)
    if size is not None and not quiet:
        echo(f"note: {PROTOCOL}", err=True)


def _asked(
    samples: Path,
    weights: Sequence[Path] | None,
    crop: str | None,
    crops: int | None,
    seed: int | None,
    against: Path | None,
) -> tuple[int, int] | None:
    """The size of a crop, where crops are asked for.

    Raises:
        UsageError: what is asked for means nothing.
        RunError: the record of the samples cannot be read.
    """
    if not weights:
        raise UsageError(
            "LPIPS needs the weights that it was trained with",
            help="pass --weights alexnet-owt-7be5be79.pth --weights lpips/weights/v0.1/alex.pth, files that you have",
        )
    other = "pass --crop HxW, the size that the stack was trained on, or --against OTHER"
    if crop is not None and against is not None:
        raise UsageError("--crop compares within pictures, and --against with others", help=other)
    if against is not None:
        idle = [flag for flag, given in (("--crops", crops), ("--seed", seed)) if given is not None]
        if idle:
            raise UsageError(f"{idle[0]} says something of crops", help="pass --crop instead of --against")
        return None
    if crop is None:
        from legoc_runtime.evaluation.crops import window_of

        window = window_of(samples)
        if window is None:
            raise UsageError("there is nothing to compare: these are no canvases of `legoc sample`", help=other)
        echo(f"--crop {window[0]}x{window[1]}: the window that these canvases were made of", err=True)
        return window
    sides = crop.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and len(side) < 7 for side in sides):
        raise UsageError(f"`{crop[:40]}` is no size", help="--crop 256, or 256x512: rows and columns")
    return int(sides[0]), int(sides[-1])


def _crops(
    pictures: PictureSet, network: Lpips, size: tuple[int, int], count: int, seed: int, quiet: bool
) -> list[Spread]:
    from legoc.cli.picture_bar import PictureBar
    from legoc_runtime.evaluation.crops import between_crops

    with PictureBar("lpips", 2 * len(pictures), quiet=quiet) as bar:
        tell: Callable[[int], None] = bar.advance
        return [
            between_crops(pictures, network, size, "grid", count=count, on_pictures=tell),
            between_crops(pictures, network, size, "random", count=count, seed=seed, on_pictures=tell),
        ]


def _report(pictures: PictureSet, network: Lpips, spreads: Sequence[Spread]) -> dict[str, Any]:
    return {
        "lpips_version": LPIPS_VERSION,
        "trunk": network.trunk,
        "weights_sha256": network.fingerprint,
        "set": pictures.title,
        "pictures": len(pictures),
        "distances": [spread.to_json() for spread in spreads],
    }


def _table(pictures: PictureSet, network: Lpips, spreads: Sequence[Spread]) -> str:
    from legoc.study.table import Table

    rows, columns = pictures.size
    head = f"features  {network.trunk}, weights {network.fingerprint[:8]}\n"
    head += f"samples   {pictures.title}, {len(pictures):,} pictures of {rows}x{columns}\n\n"
    names = ("LPIPS of", "crops each", "pairs", "mean", "deviation", "over pictures")
    return head + Table(names, tuple(map(_row, spreads))).text()


def _row(spread: Spread) -> tuple[str, ...]:
    crops = "-" if spread.crops is None else f"{spread.crops:,}"
    over = "-" if spread.crops is None or spread.over_pictures is None else f"{spread.over_pictures:.4f}"
    return spread.what, crops, f"{spread.pairs:,}", f"{spread.mean:.4f}", f"{spread.deviation:.4f}", over
