"""`legoc study refine`: what each brick makes of a noised image, and how far from the clean one (Figures 5 and 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.decoder import decoder_named
from legoc.cli.options import FROM_SPEC, given_or_newest, overridden, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option


def command(
    run: Annotated[
        Path | None,
        Argument(help="A run, checkpoint or file of weights. [default: the newest run in runs/]", show_default=False),
    ] = None,
    sigmas: Annotated[
        str | None, Option(help="Noise levels: 0.1,1,10. [default: six of the spec's schedule]", show_default=False)
    ] = None,
    examples: Annotated[int, Option(min=1, help="Images that errors are measured on, spread over the set.")] = 64,
    image: Annotated[
        int | None,
        Option(min=0, help="The image of the picture, by its place. [default: the first measured]", show_default=False),
    ] = None,
    data: Annotated[
        Path | None, Option(help="Where images come from. [default: the run's data]", show_default=False)
    ] = None,
    decoder: Annotated[
        str | None,
        Option(
            metavar="VAE",
            help=f"As in `legoc sample`: what makes pictures of latents. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, Option(min=0, help="Of the noise; at every level an image has the same, scaled.")] = 0,
    batch: Annotated[int, Option(min=1, help="Images at once.")] = 64,
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
    """Noise clean images to a few levels and look at every brick's estimate, from the bottom of the stack to its top.

    estimates.png shows one image: a row a noise level, with the noised input, what each brick makes of it, and the
    clean image. The table has the error of each brick's estimates by noise level, over images that the run held out
    where it held out any. Classes are the images' own; there is no guidance.
    """
    refuse_stdin(run, "study refine")
    from legoc.cli.sample_source import find_stack
    from legoc.cli.study_refine_run import Request, study_refine
    from legoc.spec.model_files import sigma_range
    from legoc.study.refine import chosen_levels
    from legoc_runtime.backends.base import choose_backend
    from legoc_runtime.backends.device import choose_device
    from legoc_runtime.contract.schedule import sampling_levels

    source = find_stack(given_or_newest(run), ema)
    manifest = source.manifest
    diffusion = manifest.shape.diffusion
    levels = chosen_levels(sigmas, sampling_levels(manifest.sample, diffusion), sigma_range(diffusion))
    settings, notices = overridden(manifest.sample, {"decoder": decoder_named(source, decoder)})
    for notice in notices:
        echo(notice, err=True)
    choice, where = choose_backend(backend, build=source.build, trust_native=False), choose_device(device)
    request = Request(source, levels, examples, image, data, settings.decoder, seed, batch, choice, where, quiet)
    study_refine(request, out, json=json)
