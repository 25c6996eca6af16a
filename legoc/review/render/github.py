"""The format github: an annotation a change, on the file and line where it was made."""

from __future__ import annotations

from legoc.render.github import command
from legoc.review.compare import Report
from legoc.review.render.findings import findings


def render_github(report: Report) -> str:
    """One workflow command a line, at a place of the new side.

    `::error` for what breaks or cannot be read, `::warning` for what means something else, `::notice` for the rest.
    What is the same for several specs, which extend one file, is said once: GitHub shows but a few annotations.
    """
    lines = (command(found.diagnostic, found.level, found.title) for found in findings(report))
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))
