"""`legoc diff`: what a changed spec does to weights, cost and pictures. Needs no torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.app import COMMANDS
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from legoc.review.compare import Report

EXIT_FOUND, EXIT_UNREADABLE = 1, 2


class Format(StrEnum):
    """How the report is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"
    github = "github"
    sarif = "sarif"


FORMAT_HELP = (
    "text: with the source of both sides; markdown: a comment for a pull request; json: versioned; "
    "github: annotations; sarif: SARIF 2.1.0."
)


class Class(StrEnum):
    """The classes of a change, from what matters least."""

    cosmetic = "cosmetic"
    sampling = "sampling"
    training = "training"
    resumable = "resumable"
    meaning = "meaning"
    breaks = "breaks"


def command(
    what: Annotated[
        list[str],
        Argument(
            metavar="A B | REV[...REV] [-- PATH]",
            help="Two of: a spec, a build, a run, a checkpoint, a .safetensors file, REV:path, - for standard input. "
            "Or one revision of git against what is there now, or two, with the specs to compare.",
            show_default=False,
        ),
    ],
    format: Annotated[Format, Option(help=FORMAT_HELP)] = Format.text,
    fail_on: Annotated[
        Class | None,
        Option("--fail-on", help="Exit with 1 when a change is of this class or a worse one.", show_default=False),
    ] = None,
    budget: Annotated[
        str | None,
        Option(
            metavar="LIMITS",
            help="Exit with 1 when a spec that changed or is new costs more: params<=800M,sample<=+10%. "
            "Figures: params; macs of a forward pass; train, sample: MACs an image; weights, activations: bytes.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, Option("-o", "--out", help="Write the report to this file instead.", show_default=False)
    ] = None,
) -> None:
    """Compare specs: does a checkpoint still load, does it mean the same, what does it cost now?

    Every change has a class, from cosmetic to breaks; docs/review.md says what they mean. The exit code is 0 when the
    comparison is done, 1 when --fail-on is met or
    --budget is broken, and 2 when a side cannot be read or does not check.
    """
    from legoc.review.limits import read_budget, refusals

    limits = () if budget is None else read_budget(budget)
    report = _report(what)
    text = _rendered(report, format, colour=out is None)
    if out is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        _write(out, text)
    if report.unreadable:
        sys.stderr.write("error: a side cannot be compared, so nothing can be concluded\n")
        sys.exit(EXIT_UNREADABLE)
    if found := refusals(report, None if fail_on is None else fail_on.value, limits):
        sys.stderr.write("".join(f"{sentence}\n" for sentence in found))
        sys.exit(EXIT_FOUND)


def _write(path: Path, text: str) -> None:
    try:
        # names of files may have bytes that are no text
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}", help="choose another -o") from error


def _rendered(report: Report, format: Format, *, colour: bool) -> str:
    match format:
        case Format.text:
            from legoc.render import wants_colour
            from legoc.review.render.text import render_text

            return render_text(report, colour=colour and wants_colour(sys.stdout), migrate="migrate" in COMMANDS)
        case Format.markdown:
            from legoc.review.render.markdown import render_markdown

            return render_markdown(report, migrate="migrate" in COMMANDS)
        case Format.json:
            from legoc.review.render.as_json import render_json

            return render_json(report)
        case Format.github:
            from legoc.review.render.github import render_github

            return render_github(report)
        case Format.sarif:
            from legoc.review.render.sarif import render_sarif

            return render_sarif(report)


def _report(what: Sequence[str]) -> Report:
    from legoc.review.request import compare_request

    if not what:
        raise UsageError("nothing to compare", help="give two specs, or a revision of git")
    return compare_request(what)
