"""`legoc study stack`: sweeps of depth, brick size and the like, each stack trained (paper, Figures 10 and 11)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.options import Overrides, refuse_stdin
from legoc.cli.parameters import Argument, Option


def command(
    spec: Annotated[Path, Argument(help="The spec that the sweep starts from.", show_default=False)],
    sweep: Annotated[
        list[str] | None,
        Option(
            metavar="ID.KEY=V,V",
            help="Values of a key of a brick: detail.depth=1,2,4. Several make every combination.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        str | None,
        Option(help="Images that each stack is trained on: 20k. [default: the spec's]", show_default=False),
    ] = None,
    held_out: Annotated[
        float | None,
        Option(help="Share of the images for measuring. [default: the spec's, or 0.05]", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, Option(help="Seed of every training. [default: the spec's]", min=0, show_default=False)
    ] = None,
    data: Annotated[Path | None, Option(help="Training images. [default: the spec's]", show_default=False)] = None,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="The study's folder. [default: in studies/]", show_default=False),
    ] = None,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of tables.")] = False,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    backend: Annotated[str, Option(help="auto, eager, or inductor.")] = "auto",
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress on stderr; notes stay.")] = False,
    overrides: Overrides = None,
) -> None:
    """Train every stack of a sweep on the same images and set cost beside held-out loss, by brick and noise level.

    All stacks are checked before the first is trained. Each has a run of its own in the folder's runs/, which
    `legoc compare`, `plot` and `sample` take. Ctrl-C saves a checkpoint; the same command goes on from there, and one
    with more values keeps the stacks that are trained.
    """
    refuse_stdin(spec, "study stack")
    from legoc.cli.study_stack_run import Request, study_stack
    from legoc.study.sweep import parse_sweeps
    from legoc_runtime.backends.base import choose_backend
    from legoc_runtime.backends.device import choose_device

    sweeps = parse_sweeps(sweep or ())
    # before the data are opened: a word that is wrong is said at once
    choose_backend(backend, build=None, trust_native=False)
    choose_device(device)
    request = Request(spec, sweeps, tuple(overrides or ()), images, held_out, seed, data, device, backend, quiet)
    study_stack(request, out, json=json)
