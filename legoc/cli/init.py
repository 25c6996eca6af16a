"""`legoc init`: a first spec, commented. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

from legoc.cli.output import echo
from legoc.cli.parameters import Option


def command(
    source: Annotated[
        Path | None,
        Option("--from", help="Images or latents to fit the spec to.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="The .yaml file to write; - is stdout. [default: NAME.yaml]", show_default=False),
    ] = None,
) -> None:
    """Write a first spec: grid, classes, sigma_data and bricks that fit the images, with comments.

    The path of the file is printed on stdout, or with `-o -` the spec itself. A file that is there
    already is left alone.
    """
    from legoc.diagnostics import SpecError
    from legoc.spec import check_text
    from legoc.starter import FLAT_SIGMA, ImageFacts, measure, starter_spec
    from legoc_runtime.errors import RunError, UsageError

    to_stdout = out is not None and str(out) == "-"
    if out is not None and not to_stdout and out.suffix.lower() not in (".yaml", ".yml"):
        raise UsageError(f"{out} is not named as a spec", help="end the name of -o in .yaml, or give - for stdout")
    facts = ImageFacts() if source is None else measure(source)
    path = out if out is not None else Path(f"{facts.name}.yaml")
    text = starter_spec(facts)
    result = check_text(text, str(path))
    if result.spec is None:  # a grid that the language has no stack for, such as one pixel
        raise SpecError(result.diagnostics)
    if facts.sigma_data < FLAT_SIGMA:
        echo(
            f"warning: the images are almost of one colour (sigma_data {facts.sigma_data:g}, where pictures have about "
            "0.5): see that they are the right ones before training on them",
            err=True,
        )
    if to_stdout:
        echo(text, nl=False)
        return
    try:
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already", help="name another file with -o") from error
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}", help="choose another -o") from error
    echo(path)
    data = " --data FOLDER" if facts.path is None else ""
    echo(f"next: legoc build {quote(str(path))} && legoc train{data}", err=True)
