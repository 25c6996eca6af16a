"""`legoc init`: a first spec, commented. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A zip or folder of images to fit the spec to.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The file to write. [default: NAME.yaml]", show_default=False),
    ] = None,
) -> None:
    """Write a first spec: grid, classes, sigma_data and bricks that fit the images, with comments.

    The path of the file is printed on stdout. A file that is there already is left alone.
    """
    from legoc.diagnostics import SpecError
    from legoc.spec import check_text
    from legoc.starter import ImageFacts, measure, starter_spec
    from legoc_runtime.errors import RunError, UsageError

    facts = ImageFacts() if source is None else measure(source)
    path = out if out is not None else Path(f"{facts.name}.yaml")
    text = starter_spec(facts)
    result = check_text(text, str(path))
    if result.spec is None:  # a grid that the language has no stack for, such as one pixel
        raise SpecError(result.diagnostics)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already", help="name another file with -o") from error
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}", help="choose another -o") from error
    typer.echo(path)
    typer.echo(f"next: legoc build {path} && legoc train", err=True)
