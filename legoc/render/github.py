"""The format github: workflow commands, which a job's log turns into annotations on the changed files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from legoc.diagnostics import Diagnostic
from legoc.render.lines import visible


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """One `::error` or `::warning` command a line, with the place, the code and title, the message and the help.

    Source: GitHub's "Workflow commands for GitHub Actions". Columns are left out where a place spans several lines:
    the runner takes them for one line only. What was set on the command line has no file to be shown in.
    """
    return "".join(_command(diagnostic) + "\n" for diagnostic in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    return command(diagnostic, diagnostic.severity, f"legoc {diagnostic.code}")


def command(diagnostic: Diagnostic, level: Literal["error", "warning", "notice"], title: str) -> str:
    """The workflow command of a diagnostic, under another level and title than its own."""
    properties: dict[str, str] = {}
    primary = diagnostic.primary
    if primary and not primary.span.file.is_command_line:
        span = primary.span
        line, column = span.end_position
        properties["file"] = span.file.name
        properties["line"] = str(span.line)
        if line == span.line:
            properties["col"] = str(span.column)
        properties["endLine"] = str(line)
        if line == span.line:
            properties["endColumn"] = str(max(column, span.column))
    properties["title"] = title
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    where = f" (in `{visible(primary.span.file.name)}`)" if primary and primary.span.file.is_command_line else ""
    text = diagnostic.message + where + (f"\nhelp: {diagnostic.help}" if diagnostic.help else "")
    return f"::{level} {written}::{_data(text)}"


def written(level: Literal["error", "warning", "notice"], title: str, text: str) -> str:
    """A workflow command that belongs to no place."""
    return f"::{level} title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
