"""`legoc compare`: runs in one table and one picture. Needs no torch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError


class Format(StrEnum):
    """How the table is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"


def command(
    runs: Annotated[list[Path], Argument(metavar="RUN...", help="Run directories.", show_default=False)],
    format: Annotated[Format, Option(help="text, markdown for a page, or json: versioned.")] = Format.text,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="Also draw the losses over images, time and MACs, as SVG.", show_default=False),
    ] = None,
    paper: Annotated[bool, Option("--paper", help="Add what was published of Tables 1 to 3 of the paper.")] = False,
) -> None:
    """Compare runs: parameters, training MACs, images, time and losses, a row each.

    The loss of the top brick is that of the estimate which samples come from; with -o it is drawn over images, training
    time and training MACs, on held-out images where every run has them. What keeps losses from being compared is said.
    """
    from legoc.compare.render import render_json, render_markdown, render_text
    from legoc.compare.runs import comparison_plots, differences, read_runs

    if not runs:
        raise UsageError("nothing to compare", help="give run directories: legoc compare runs/a runs/b")
    if out is not None and out.suffix.lower() != ".svg":
        raise UsageError(f"{out} is not an SVG file", help="give -o a name that ends in .svg")
    found = read_runs(runs)
    notes = list(differences(found))
    match format:
        case Format.text:
            echo(render_text(found, paper=paper), nl=False)
        case Format.markdown:
            echo(render_markdown(found, paper=paper), nl=False)
        case Format.json:
            echo(render_json(found, notes, paper=paper), nl=False)
    for note in notes:
        echo(f"note: {note}", err=True)
    if out is not None:
        from legoc.draw.curves import plots_svg

        if not (plots := comparison_plots(found)):
            raise UsageError("the runs have no losses by brick to draw", help="leave -o out")
        try:
            out.write_text(plots_svg(", ".join(run.label for run in found), plots), encoding="utf-8")
        except OSError as error:
            raise RunError(f"{out} cannot be written: {error.strerror}", help="choose another -o") from error
        echo(f"drawn: {out}", err=True)
