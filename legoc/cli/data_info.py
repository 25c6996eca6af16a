"""`legoc data info`: what a set holds, from headers and labels alone. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.data_progress import counting
from legoc.cli.options import refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option


def command(
    data: Annotated[Path, Argument(help="A zip, folder, shards, set or latents.")],
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of text.")] = False,
) -> None:
    """Say how many images a set holds, of which sizes and classes, without reading their pixels."""
    from legoc.data.examine import describe
    from legoc.data.latents import describe_latents
    from legoc.data.table import table
    from legoc_runtime.data import LatentDataset
    from legoc_runtime.data.latents import is_latents
    from legoc_runtime.data.open_source import open_source

    refuse_stdin(data, "data info")
    path = data.expanduser()
    if is_latents(path):
        report = describe_latents(LatentDataset(path))
    else:
        source = open_source(path)
        with counting(len(source.names), "headers read") as progress:
            report = describe(source, progress)
    if json:
        from json import dumps

        echo(dumps(report.to_json(), indent=1, ensure_ascii=False))
    else:
        echo(table(report), nl=False)
