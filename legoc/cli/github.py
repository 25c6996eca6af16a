"""`legoc github`: specs in a workflow of GitHub. Needs no torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from legoc.cli.app import COMMANDS
from legoc.cli.diff import Class
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import LegocError, RunError

if TYPE_CHECKING:
    from legoc.github.event import Workflow
    from legoc.github.outcome import Outcome


def command(
    paths: Annotated[
        list[str] | None,
        Argument(
            metavar="PATH",
            help="Specs, folders of specs, or patterns such as 'specs/*.yaml'. [default: the whole repository]",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None,
        Option(metavar="REV", help="What to compare with. [default: as the workflow's event says]", show_default=False),
    ] = None,
    fail_on: Annotated[
        Class | None,
        Option("--fail-on", help="Exit with 1 when a change is of this class or a worse one.", show_default=False),
    ] = None,
    budget: Annotated[
        str | None,
        Option(
            metavar="LIMITS",
            help="Exit with 1 when a spec that changed or is new costs more; as of `legoc diff`.",
            show_default=False,
        ),
    ] = None,
    comment: Annotated[
        bool, Option("--comment/--no-comment", help="Write one comment on the pull request, and update it.")
    ] = True,
    name: Annotated[
        str | None,
        Option(help="Tells the comments of several reviews of one pull request apart.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        Option(
            "-o", "--out", help="Write what changed to this file, as `legoc diff --format json`.", show_default=False
        ),
    ] = None,
) -> None:
    """In a workflow of GitHub: check specs, compare them with the base, and tell the pull request.

    What changed and what is wrong is annotated on its lines, written to the job's summary and, with GITHUB_TOKEN, into
    one comment that is updated. The exit code is 1 when a spec does not check, --fail-on is met or --budget is broken,
    2 when a side cannot be compared, and does not depend on the comment. docs/review.md has the workflow.
    """
    from legoc.github.event import read_workflow
    from legoc.github.outcome import Asked, annotated, find_outcome
    from legoc.github.page import marker, render_page
    from legoc.review.limits import read_budget

    workflow = read_workflow(os.environ)
    try:
        marker(name or "")  # refuses a name before anything is done
        limits = () if budget is None else read_budget(budget)
        asked = Asked(tuple(paths or ()), base, None if fail_on is None else fail_on.value, limits)
        outcome = find_outcome(workflow, asked)
    except LegocError as error:
        _told("error", error.message + (f"\nhelp: {error.help}" if error.help else ""))
        raise
    echo(annotated(outcome), nl=False)
    _append(workflow.summary, render_page(outcome, workflow, name or "", migrate="migrate" in COMMANDS))
    address, told = _comment(outcome, workflow, name or "") if comment else ("", "")
    _append(workflow.summary, told and f"\n{told}\n")
    _outputs(outcome, workflow, out, address)
    for sentence in outcome.refused:
        echo(f"refused: {sentence}", err=True)
    if outcome.inconclusive:
        echo("error: a side cannot be compared, so nothing can be concluded", err=True)
    sys.exit(outcome.exit_code)


def _comment(outcome: Outcome, workflow: Workflow, name: str) -> tuple[str, str]:
    """The address of the comment, and why there is none, for the summary; a failure is told and fails nothing."""
    from legoc.github.api import Api, ApiError
    from legoc.github.comment import Pull, write_comment
    from legoc.github.page import SIZES, marker, render_page

    if workflow.pull_request is None:
        return "", ""
    if not workflow.token:
        return "", _told("notice", "No comment was written: GITHUB_TOKEN is not set.")

    def render(most: int) -> str:
        return render_page(outcome, workflow, name, migrate="migrate" in COMMANDS, most=most)

    pull = Pull(workflow.repository, workflow.pull_request.number)
    try:
        api = Api(workflow.api, workflow.token)
        written = write_comment(api, pull, marker(name), render, SIZES, create=not outcome.is_quiet)
    except ApiError as error:
        if error.status == 403 and workflow.pull_request.from_fork:
            return "", _told("notice", "No comment was written: the token of a pull request from a fork may not.")
        help = " Does the job have `permissions: pull-requests: write`?" if error.status in (403, 404) else ""
        return "", _told("warning", f"No comment was written: {error}.{help}")
    echo(f"comment: {written.how} {written.address}".rstrip(), err=True)
    return written.address, ""


def _told(level: Literal["error", "warning", "notice"], sentence: str) -> str:
    from legoc.render.github import written

    echo(written(level, "legoc github", sentence))
    return sentence


def _outputs(outcome: Outcome, workflow: Workflow, out: Path | None, address: str) -> None:
    from legoc.review.render.as_json import render_json

    report = outcome.report
    if out is not None and report is not None:
        _write(out, render_json(report), "w")
    values = {
        "class": report.impact if report is not None and report.impact is not None else "",
        "json": str(out) if out is not None and report is not None else "",
        "comment": address,
    }
    _append(workflow.output, "".join(f"{key}={value}\n" for key, value in values.items()))


def _append(path: Path | None, text: str) -> None:
    if path is not None and text:
        _write(path, text, "a")


def _write(path: Path, text: str, mode: str) -> None:
    try:
        # names of files may have bytes that are no text
        with path.open(mode, encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}", help="the workflow's runner names it") from error
