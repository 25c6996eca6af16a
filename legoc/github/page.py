"""What was found as Markdown, for the summary of a job and the comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from legoc.diagnostics import Diagnostic
from legoc.github.event import Workflow
from legoc.github.outcome import Outcome
from legoc.render.lines import summary
from legoc.review.render.markdown import MARKER, MAX_CHARACTERS, code, render_markdown
from legoc.version import __version__
from legoc_runtime.errors import UsageError

SIZES = (MAX_CHARACTERS, 20_000, 4_000)
"""Characters of a comment; a shorter one is for servers that take no longer one."""

SHOWN_REFUSALS, SHOWN_DIAGNOSTICS = 10, 10
_LINE_CHARACTERS = 300
_NAME = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")


def marker(name: str) -> str:
    """The first line of a comment, by which it is found again.

    Args:
        name: what tells several reviews of one pull request apart; empty for the only one.

    Raises:
        UsageError: the name has other characters than letters, digits, and single dots, dashes and underscores.
    """
    if not name:
        return MARKER
    if len(name) > 100 or not _NAME.fullmatch(name):
        raise UsageError(f"`{name[:100]}` is no name for a comment", help="letters, digits, and . - _ between them")
    return MARKER.replace("legoc-diff", f"legoc-diff {name}")


def render_page(outcome: Outcome, workflow: Workflow, name: str, *, migrate: bool, most: int = SIZES[0]) -> str:
    """The page, in at most so many characters: why the job fails, what changed, what does not check.

    Args:
        outcome: what was found.
        workflow: what it was found for.
        name: as of `marker`.
        migrate: whether to say the command that carries checkpoints over.
        most: characters that there is room for.
    """
    first = "\n\n".join([marker(name), *([f"## {name}"] if name else []), *_refusals(outcome, most // 4)]) + "\n\n"
    last = "\n".join(["", *_checked(outcome, most // 4), "", _footer(outcome, workflow)]) + "\n"
    room = most - len(first) - len(last)
    if outcome.report is None:
        words = f"There is nothing to compare with: {code(workflow.event)} has no base."
    else:
        # errors of specs as they are now stand once, at the end
        words = render_markdown(outcome.report, migrate=migrate, most=room, told=outcome.unread_here)
        words = words.removeprefix(MARKER).strip()
    return f"{first}{words}\n{last}"


def _refusals(outcome: Outcome, most: int) -> Iterator[str]:
    if outcome.refused:
        yield "🔴 **Refused:**"
        lines = [f"- {code(sentence[:_LINE_CHARACTERS])}" for sentence in outcome.refused]
        yield "\n".join(_first(lines, SHOWN_REFUSALS, most))
    elif outcome.inconclusive and outcome.has_limits:
        yield "🔴 **What was asked to be refused cannot be told, since a side cannot be compared.**"


def _checked(outcome: Outcome, most: int) -> Iterator[str]:
    """What is wrong with the specs as they are now."""
    sign = "🔴 " if outcome.has_errors else "🟠 " if outcome.diagnostics else ""
    yield f"{sign}**legoc check:** {summary(outcome.diagnostics, len(outcome.checked))}"
    ordered = sorted(outcome.diagnostics, key=lambda diagnostic: diagnostic.severity)  # errors come first
    if ordered:
        yield ""
        yield from _first([_line(diagnostic) for diagnostic in ordered], SHOWN_DIAGNOSTICS, most)


def _first(lines: list[str], number: int, most: int) -> list[str]:
    """The first lines of a list, at most so many characters, and how many more there are."""
    shown = lines[:number]
    while shown and sum(map(len, shown)) > most:
        shown.pop()
    return shown if len(shown) == len(lines) else [*shown, f"- and {len(lines) - len(shown)} more"]


def _line(diagnostic: Diagnostic) -> str:
    place = f" {code(str(diagnostic.primary.span)[:_LINE_CHARACTERS])}" if diagnostic.primary else ""
    help = f"; help: {code(diagnostic.help[:_LINE_CHARACTERS])}" if diagnostic.help else ""
    return f"- {diagnostic.severity} {diagnostic.code}{place} {code(diagnostic.message[:_LINE_CHARACTERS])}{help}"


def _footer(outcome: Outcome, workflow: Workflow) -> str:
    pull = workflow.pull_request
    commit = pull.head if pull is not None and pull.head else outcome.commit
    log = f", [log]({workflow.log})" if workflow.log else ""
    return f"<sub>legoc {__version__}, commit {commit[:10]}{log}</sub>"
