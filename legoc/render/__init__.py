"""Diagnostics as text: full, concise, json, github, sarif; one file a format.

takes: diagnostics
gives: text
may import: `legoc.source`, `legoc.diagnostics`, `legoc.codes`; the formats for programs only when they are asked for
"""

from __future__ import annotations

from collections.abc import Sequence

from legoc.diagnostics import Diagnostic
from legoc.render.full import render_full
from legoc.render.lines import render_concise, summary, wants_colour

__all__ = [
    "render_concise",
    "render_full",
    "render_github",
    "render_json",
    "render_sarif",
    "summary",
    "wants_colour",
]


def render_json(diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """All diagnostics as one JSON object; the shape is `legoc.render.as_json`'s."""
    from legoc.render import as_json

    return as_json.render_json(diagnostics, files)


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """Workflow commands that become annotations on GitHub; see `legoc.render.github`."""
    from legoc.render import github

    return github.render_github(diagnostics)


def render_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """A SARIF 2.1.0 log; see `legoc.render.sarif`."""
    from legoc.render import sarif

    return sarif.render_sarif(diagnostics)
