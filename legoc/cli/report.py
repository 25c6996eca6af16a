"""`legoc report`: one HTML page about a spec, a build, a run or a comparison. Needs no torch."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from legoc.cli.app import COMMANDS
from legoc.cli.options import Overrides
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError

SUFFIXES = (".html", ".htm")
EXIT_UNREADABLE = 2


def command(
    what: Annotated[
        list[str],
        Argument(
            metavar="SPEC|BUILD|RUN|CHECKPOINT | A B | REV...[REV] [-- PATH...]",
            help="One thing, or a comparison as `legoc diff` takes it; - is a spec on standard input.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="The page. [default: NAME-report.html, after the spec]", show_default=False),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Write one HTML page: the spec with the origin of every value, its graph, timelines and costs.

    Of a run also its curves and the grids sampled from it; of a comparison every change with its class and reason,
    costs, and the stack before and after. The page is one file: it loads nothing and runs no script, and the same
    input gives the same bytes. Its path goes to stdout.

    The exit code is 2 when a side of a comparison cannot be read; the page says why.
    """
    if not what:
        raise UsageError("nothing to report on", help="give a spec, a build or a run, or two things to compare")
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{out} is not an HTML file", help="give -o a name that ends in .html")
    from legoc.report.page import render
    from legoc.report.request import report_request

    reported = report_request(what, overrides or (), migrate="migrate" in COMMANDS)
    path = out or Path(f"{reported.page.name}-report.html")
    _write(path, render(reported.page))
    echo(path)
    if reported.unreadable:
        echo("error: a side cannot be compared, so nothing can be concluded", err=True)
        sys.exit(EXIT_UNREADABLE)


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    draft: str | None = None
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except OSError as error:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)
        raise RunError(f"{path} cannot be written: {error.strerror}", help="choose another -o") from error
