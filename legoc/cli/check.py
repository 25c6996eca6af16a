"""`legoc check`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How findings are printed."""

    full = "full"
    concise = "concise"
    json = "json"


def command(
    specs: Annotated[list[Path], typer.Argument(metavar="SPEC...", help="Spec files.", show_default=False)],
    format: Annotated[Format, typer.Option(help="full: with the source; concise: a line each; json.")] = Format.full,
) -> None:
    """Check specs: every problem at once, with its place and what to do.

    Findings go to stdout, a summary to stderr. The exit code is 1 when a spec has errors, 0 when there are none or
    only warnings.
    """
    from legoc.render import render_concise, render_full, render_json, summary, wants_colour
    from legoc.spec import check_file

    paths = list(dict.fromkeys(specs))
    findings = [finding for path in paths for finding in check_file(path).diagnostics]
    match format:
        case Format.full:
            sys.stdout.write(render_full(findings, colour=wants_colour(sys.stdout)))
        case Format.concise:
            sys.stdout.write(render_concise(findings))
        case Format.json:
            sys.stdout.write(render_json(findings, [str(path) for path in paths]))
    sys.stdout.flush()
    sys.stderr.write(summary(findings, len(paths)) + "\n")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)
