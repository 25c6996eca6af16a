"""`legoc cost`: parameters and multiply-accumulates of a spec, by brick and by policy. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    path: Annotated[Path, typer.Argument(metavar="SPEC|BUILD|RUN", help="What to price.", show_default=False)],
    skip_policy: Annotated[
        list[str] | None,
        typer.Option(
            "--skip-policy",
            help="Price this policy: none, halfway, halfway:SHARE, or one of the spec's. May be repeated. "
            "[default: all that the spec declares]",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Noise levels of the schedule. [default: the spec's]", show_default=False),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(help="Scale of guidance; 1 is none. [default: the spec's]", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print versioned JSON instead of a table.")] = False,
) -> None:
    """Price a spec: parameters, MACs of a forward pass, of a training image and of every skip policy.

    Counts are exact and for one image; 1 MAC is 2 FLOPs. Savings are against sampling without skips.
    """
    from legoc.build import compile_path
    from legoc.cost.report import price

    manifest, _ = compile_path(path)
    cost = price(manifest, policies=skip_policy or (), steps=steps, guidance=guidance)
    if json:
        from json import dumps

        typer.echo(dumps(cost.to_json(), indent=1, ensure_ascii=False))
    else:
        from legoc.cost.table import table

        typer.echo(table(cost), nl=False)
