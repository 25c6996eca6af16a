"""A report as located findings: what annotations on files are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from legoc.diagnostics import Diagnostic, Label
from legoc.review.changes import values_of
from legoc.review.classify import Verdict
from legoc.review.compare import Report, Review
from legoc.review.render.words import TITLES, described
from legoc.review.rules import Impact
from legoc.source import SourceFile, Span

Level = Literal["error", "warning", "notice"]

LEVELS: dict[Impact, Level] = {
    "cosmetic": "notice",
    "sampling": "notice",
    "training": "notice",
    "resumable": "notice",
    "meaning": "warning",
    "breaks": "error",
}
"""How loud a class is."""

CODE_PREFIX = "diff/"
"""What the codes of classes begin with, which are no diagnostic codes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A change, or why a side cannot be read, at a place of the new side.

    Attributes:
        diagnostic: its words and place; the code of a change is its class: `diff/breaks`.
        level: how loud it is.
        title: what it is of.
    """

    diagnostic: Diagnostic
    level: Level
    title: str


def findings(report: Report) -> Iterator[Finding]:
    """What cannot be read first, then every change, spec by spec, the worst first."""
    for side in report.unreadable:
        # lines of the new state are annotated in its files; what was has none that annotations could be on
        is_new = side.revision is not None and report.after.partition(":")[0] == side.revision
        for diagnostic in side.in_files if is_new else side.diagnostics:
            yield Finding(diagnostic, diagnostic.severity, f"legoc {diagnostic.code}")
    for review in report.reviews:
        yield from (_finding(review, verdict) for verdict in review.verdicts)


def _finding(review: Review, verdict: Verdict) -> Finding:
    before, after = values_of(verdict.change)
    span = after.span or after.near if after is not None else None
    secondary: list[Label] = []
    if before is not None and before.span is not None and review.before.revision is None:
        secondary.append(Label(before.span, "was"))
    tensors = f": {verdict.tensors[0]}" if verdict.impact == "breaks" and verdict.tensors else ""
    if len(verdict.tensors) > 1 and tensors:
        tensors += f" and {len(verdict.tensors) - 1:,} more tensors"
    message = f"{described(verdict.change)}: {TITLES[verdict.impact]}, {verdict.reason}{tensors}"
    place = Label(span or _top(review), "")
    diagnostic = Diagnostic(CODE_PREFIX + verdict.impact, "warning", message, place, tuple(secondary))
    return Finding(diagnostic, LEVELS[verdict.impact], f"legoc diff: {TITLES[verdict.impact]}")


def _top(review: Review) -> Span:
    """Where to say what has no place any more: the bricks, or the beginning of the file."""
    bricks = review.after.spec.spans.get(("bricks",))
    start = Span(SourceFile(review.after.path, review.after.text), 0, 0)
    return Span(bricks.file, bricks.start, bricks.start) if bricks is not None else start
