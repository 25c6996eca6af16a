"""`legoc eval`: how good samples are, against a reference; and whether they were memorised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from legoc_runtime.evaluation.evaluate import Evaluator
    from legoc_runtime.evaluation.picture_set import PictureSet
    from legoc_runtime.evaluation.reference import Reference


def command(
    samples: Annotated[
        list[Path],
        Argument(
            metavar="SAMPLES...",
            help="What `legoc sample` wrote, another folder of pictures, a .zip, or an .npz of ADM's form. "
            "Several sets give minimum, mean and maximum.",
            show_default=False,
        ),
    ],
    ref: Annotated[
        Path,
        Option(
            metavar="DATA|STATS",
            help="What to hold them against: a folder or .zip of pictures, or an .npz of ADM or EDM (arr_0, mu).",
            show_default=False,
        ),
    ],
    features: Annotated[
        str,
        Option(
            metavar="inception|emoji|FOLDER",
            help="The extractor: inception (FID, KID; needs torch-fidelity and its weights), emoji (small, "
            "shipped, for 32x32 pictures), or a folder with one of your own.",
        ),
    ] = "inception",
    inception_weights: Annotated[
        Path | None,
        Option(help="Inception's weights. [default: in PyTorch's folder for downloads]", show_default=False),
    ] = None,
    split: Annotated[int, Option(min=1, help="Take each SAMPLES as so many sets of equal length, in order.")] = 1,
    nearest: Annotated[
        Path | None,
        Option(
            metavar="FILE.png",
            help="Also find the reference picture nearest to each sample, and draw the nearest pairs.",
            show_default=False,
        ),
    ] = None,
    write_stats: Annotated[
        Path | None,
        Option(
            metavar="FILE.npz",
            help="Also write mean and covariance of the reference's features, for a later --ref.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, Option(min=1, help="Pictures put through the extractor at once.")] = 64,
    device: Annotated[str, Option(help="Where the extractor runs: auto, cpu, or cuda.")] = "auto",
    cache: Annotated[
        Path | None,
        Option(help="Folder of features computed before. [default: ~/.cache/legoc/features]", show_default=False),
    ] = None,
    no_cache: Annotated[bool, Option("--no-cache", help="Neither read nor keep features.")] = False,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of a table.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress on stderr; warnings stay.")] = False,
) -> None:
    """Measure samples against a reference: Fréchet distances, classifier score, precision, recall, kernel distance.

    With Inception's features these are FID, sFID, Inception Score, precision, recall and KID. With any other they are
    named for what they are. Every report says extractor, reference and number of pictures.
    """
    _check(nearest, write_stats, cache, no_cache)
    from legoc.cli.eval_talk import table
    from legoc.cli.picture_bar import PictureBar
    from legoc_runtime.backends.device import choose_device
    from legoc_runtime.evaluation.cache import FeatureCache, default_directory
    from legoc_runtime.evaluation.evaluate import Evaluator
    from legoc_runtime.evaluation.named import open_extractor
    from legoc_runtime.evaluation.picture_set import open_pictures
    from legoc_runtime.evaluation.picture_set import split as parts
    from legoc_runtime.evaluation.reference import open_reference

    def say(line: str) -> None:
        if not quiet:
            echo(line, err=True)

    extractor = open_extractor(features, choose_device(device), inception_weights)
    reference = open_reference(ref)
    sets = [part for path in samples for part in parts(open_pictures(path), split)]
    if nearest is not None and len(sets) > 1:
        raise UsageError("--nearest compares one set of samples", help="give one SAMPLES, without --split")
    say(f"features: {extractor.describe()}")
    kept = None if no_cache else FeatureCache(cache or default_directory(), say)
    pictures = sum(map(len, sets)) + len(reference.pictures or ())
    with PictureBar("features", pictures, quiet=quiet) as bar:
        evaluator = Evaluator(extractor, batch=batch, cache=kept, on_pictures=bar.advance, say=say)
        evaluation = evaluator.evaluate(sets, reference)
        if write_stats is not None:
            _write_stats(write_stats, evaluator, reference)
        section = None if nearest is None else _nearest(nearest, evaluator, sets, reference)
    if json:
        from json import dumps

        report: dict[str, Any] = evaluation.to_json() | ({} if section is None else {"nearest": section})
        echo(dumps(report, indent=1, ensure_ascii=False))
        return
    echo(table(evaluation, section), nl=False)
    for warning in evaluation.warnings:
        echo(f"warning: {warning}", err=True)


def _check(nearest: Path | None, write_stats: Path | None, cache: Path | None, no_cache: bool) -> None:
    if nearest is not None and nearest.suffix.lower() != ".png":
        raise UsageError(f"{nearest} is no PNG file", help="give --nearest a name that ends in .png")
    if write_stats is not None and write_stats.suffix.lower() != ".npz":
        raise UsageError(f"{write_stats} is no .npz file", help="give --write-stats a name that ends in .npz")
    if cache is not None and no_cache:
        raise UsageError("--cache and --no-cache contradict each other", help="leave one of them out")


def _write_stats(path: Path, evaluator: Evaluator, reference: Reference) -> None:
    from legoc_runtime.evaluation.reference import write_statistics

    if reference.pictures is None:
        raise UsageError(f"{reference.path} holds statistics already", help="leave --write-stats out")
    write_statistics(path, evaluator.features(reference.pictures), evaluator.extractor)
    echo(f"statistics of {reference.path} are in {path}", err=True)


def _nearest(path: Path, evaluator: Evaluator, sets: Sequence[PictureSet], reference: Reference) -> dict[str, Any]:
    """Find the nearest pictures, draw them, and give the section of the report."""
    from legoc_runtime.evaluation.nearest import find_nearest
    from legoc_runtime.evaluation.nearest_sheet import nearest_sheet
    from legoc_runtime.sampling.pictures import write_whole

    if reference.pictures is None:
        raise UsageError(
            f"{reference.path} holds statistics, not pictures: there is nothing to be near to",
            help="give the training set as --ref, or leave --nearest out",
        )
    (samples,) = sets
    found = find_nearest(
        samples, evaluator.features(samples), reference.pictures, evaluator.features(reference.pictures)
    )
    write_whole(path, nearest_sheet(found, samples, reference.pictures))
    return {"picture": str(path)} | found.to_json(samples, reference.pictures)
