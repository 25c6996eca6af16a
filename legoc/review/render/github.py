"""The format github: an annotation a change, on the file and line where it was made."""

from __future__ import annotations

from legoc.render.github import command
from legoc.review.compare import Report
from legoc.review.render.findings import findings


def render_github(report: Report) -> str:
    """One workflow command a line, at a place of the new side.

    `::error` for what breaks or cannot be read, `::warning` for what means something else, `::notice` for the rest.
    """
    return "".join(command(found.diagnostic, found.level, found.title) + "\n" for found in findings(report))
