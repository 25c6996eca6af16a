"""`legoc estimate`: hours, memory and the largest batch of training a spec. Needs no torch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from legoc.cli.options import Overrides, count, described
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option


class Device(StrEnum):
    """What the stack would be trained on."""

    h100 = "h100"
    a100 = "a100"
    cpu = "cpu"


def command(
    path: Annotated[
        Path,
        Argument(metavar="SPEC|BUILD|RUN", help="What to train; - is a spec on standard input.", show_default=False),
    ],
    gpu: Annotated[Device, Option(help="What to train on; cpu is this machine, measured for two seconds.")],
    images: Annotated[
        str | None,
        Option(help="Images to train on in all: 50000, 10k, 350M. [default: the spec's]", show_default=False),
    ] = None,
    batch: Annotated[int | None, Option(min=1, help="Images a step. [default: the spec's]", show_default=False)] = None,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of text.")] = False,
    overrides: Overrides = None,
) -> None:
    """Estimate training: hours, memory at the batch, the largest batch that fits, and what is assumed.

    Rates of GPUs are published peaks times the share that training reached where it was measured; the CPU's rate is
    the median of matrix products, measured now, with a warning where the machine was busy. It is an estimate from few
    measurements: the shape of a stack, its data and its kernels can move it by a factor of two or more.
    """
    from legoc.estimate import estimate, estimate_text, machine

    manifest = described(path, overrides or ())
    wanted = None if images is None else count(images, "--images")
    found = estimate(manifest, machine(gpu.value), images=wanted, batch=batch)
    if json:
        from json import dumps

        echo(dumps(found.to_json(), indent=1, ensure_ascii=False))
    else:
        echo(estimate_text(found), nl=False)
