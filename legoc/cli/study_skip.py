"""`legoc study skip`: quality and time over the share of steps that each brick is left out in (paper, Figure 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.canvas import settings_on_grid
from legoc.cli.decoder import decoder_named
from legoc.cli.options import FROM_SPEC, given_or_newest, refuse_stdin
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError


def command(
    run: Annotated[
        Path | None,
        Argument(help="A run, checkpoint or file of weights. [default: the newest run in runs/]", show_default=False),
    ] = None,
    shares: Annotated[str, Option(help="Shares of the steps, 0 to 1.")] = "0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1",
    brick: Annotated[
        list[str] | None,
        Option(help="A brick that rests; may be repeated. [default: each in turn]", show_default=False),
    ] = None,
    end: Annotated[
        str,
        Option(help="When it rests: early, late, both, or paper: image-bricks late, patch-bricks early."),
    ] = "paper",
    seeds: Annotated[str, Option(help="One picture each, the same for every point.")] = "0-63",
    sets: Annotated[int, Option(min=1, help="The seeds are so many sets: numbers have minimum, mean and maximum.")] = 1,
    ref: Annotated[
        Path | None,
        Option(
            metavar="DATA|STATS",
            help="What features are held against, as in `legoc eval`. [default: the run's data]",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        str,
        Option(
            metavar="inception|emoji|FOLDER|none",
            help="The extractor, as in `legoc eval`; none measures the error to the pictures without skipping alone.",
        ),
    ] = "inception",
    inception_weights: Annotated[
        Path | None,
        Option(help="Inception's weights. [default: in PyTorch's folder for downloads]", show_default=False),
    ] = None,
    decoder: Annotated[
        str | None,
        Option(
            metavar="VAE",
            help=f"As in `legoc sample`: what makes pictures of latents. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    sampler: Annotated[str | None, Option(help=f"As in `legoc sample`. {FROM_SPEC}", show_default=False)] = None,
    steps: Annotated[int | None, Option(help=f"Noise levels. {FROM_SPEC}", show_default=False)] = None,
    guidance: Annotated[float | None, Option(help=f"Scale of guidance. {FROM_SPEC}", show_default=False)] = None,
    batch: Annotated[int | None, Option(help=f"Pictures at once. {FROM_SPEC}", min=1, show_default=False)] = None,
    ema: Annotated[
        str | None, Option(help=f"Rate of the EMA, `first`, or `none`. {FROM_SPEC}", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        Option(
            "-o",
            "--out",
            help="The study's folder. [default: in RUN/studies/; of a file, in studies/]",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of a table.")] = False,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    backend: Annotated[str, Option(help="auto, eager, or inductor.")] = "auto",
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress on stderr; notes stay.")] = False,
) -> None:
    """Measure what leaving a brick out in more and more steps does to pictures, and what it saves.

    Each brick rests by itself, in shares of the steps from 0 to 1, from the same seeds: the distance of features to a
    reference, the mean squared error to the pictures without skipping, seconds measured here, MACs predicted. The
    folder has study.json, table.md and plot.svg; a study that was stopped goes on from its finished points.
    """
    refuse_stdin(run, "study skip")
    from legoc.cli.study_judge import Features
    from legoc.cli.study_skip_run import Request, study_skip
    from legoc.study.skip import ENDS, parse_shares

    wanted = parse_shares(shares)
    if end not in ENDS:
        raise UsageError(f"--end {end}: there is no such end", help=f"choose {', '.join(ENDS)}")
    if features == "none" and decoder is not None:
        raise UsageError("--features none looks at no picture", help="leave --decoder out")
    place = given_or_newest(run)
    from legoc.cli.sample_source import find_stack

    source = find_stack(place, ema)
    flags = {"steps": steps, "guidance": guidance, "batch": batch, "decoder": decoder_named(source, decoder)}
    settings = settings_on_grid(source.manifest.sample, sampler, flags)
    from legoc.study.skip import rests
    from legoc_runtime.backends.base import choose_backend
    from legoc_runtime.backends.device import choose_device

    points = rests(source.manifest.shape, brick or (), end, wanted)
    choice, where = choose_backend(backend, build=source.build, trust_native=False), choose_device(device)
    request = Request(
        source, settings, points, seeds, sets, Features(features, inception_weights, ref), choice, where, quiet
    )
    study_skip(request, out, json=json)
