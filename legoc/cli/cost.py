"""`legoc cost`: parameters and multiply-accumulates of a spec, by brick and by policy. Needs no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from legoc.cli.canvas import canvas_flags, refuse_idle_canvas
from legoc.cli.options import Overrides, described, overridden
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option


def command(
    path: Annotated[
        Path,
        Argument(
            metavar="SPEC|BUILD|RUN|WEIGHTS", help="What to price; - is a spec on standard input.", show_default=False
        ),
    ],
    skip_policy: Annotated[
        list[str] | None,
        Option(
            "--skip-policy",
            "--policy",
            help="Price this policy: none, halfway, halfway:SHARE, or one of the spec's. May be repeated. "
            "[default: all that the spec declares]",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        Option(help="Noise levels of the schedule. [default: the spec's]", show_default=False),
    ] = None,
    guidance: Annotated[
        float | None,
        Option(help="Scale of guidance; 1 is none. [default: the spec's]", show_default=False),
    ] = None,
    size: Annotated[
        str | None,
        Option(
            metavar="HxW",
            help="Price policies on canvases of this size, made of windows, or grid. [default: the spec's]",
            show_default=False,
        ),
    ] = None,
    stride: Annotated[
        int | None,
        Option(help="Of a canvas: from one window to the next. [default: the spec's]", show_default=False),
    ] = None,
    canvas: Annotated[
        str | None, Option(help="Of a canvas: windows or factorised. [default: the spec's]", show_default=False)
    ] = None,
    wrap: Annotated[
        bool | None,
        Option(help="Of a canvas: the right border goes on at the left one. [default: the spec's]", show_default=False),
    ] = None,
    batch: Annotated[int, Option(min=1, help="Images whose activations are counted as memory.")] = 1,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of a table.")] = False,
    overrides: Overrides = None,
) -> None:
    """Price a spec: parameters, MACs of a forward pass, of a training image and of every skip policy.

    Counts are exact and for one image; 1 MAC is 2 FLOPs. What a policy saves is said twice: against the same stack
    without skips, and against DiT-XL/2 on the same grid at as many evaluations. Memory is by formula; --batch says
    for how many images.
    """
    from legoc.cost.report import price

    manifest = described(path, overrides or ())
    flags = {"steps": steps, "guidance": guidance, **canvas_flags(size, stride, canvas, wrap)}
    settings, notices = overridden(manifest.sample, flags, overrides or ())
    refuse_idle_canvas(settings, flags)
    for notice in notices:
        echo(notice, err=True)
    cost = price(replace(manifest, sample=settings), policies=skip_policy or ())
    if json:
        from json import dumps

        echo(dumps(cost.to_json(batch), indent=1, ensure_ascii=False))
    else:
        from legoc.cost.table import table

        echo(table(cost, batch), nl=False)
