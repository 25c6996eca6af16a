"""The format json: a versioned shape for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from legoc.diagnostics import Diagnostic, Edit, Label
from legoc.source import Span

JSON_VERSION = 1


def render_json(diagnostics: Sequence[Diagnostic], files: Sequence[str]) -> str:
    """All diagnostics as one JSON object.

    Shape, version 1: `version`; `files`, the paths checked; `errors` and `warnings`, their numbers;
    `diagnostics`, each with `code`, `severity`, `message`, `help` (or null), `path`, `start` and `end` (each 1-based
    `line` and `column`, the end exclusive), `label`, `related`: places with `path`, `start`, `end`, `label`, and `fix`:
    null, or edits with `path`, `start`, `end`, `text`, of which all or none are to be made.
    """
    body = {
        "version": JSON_VERSION,
        "files": list(files),
        "errors": sum(d.severity == "error" for d in diagnostics),
        "warnings": sum(d.severity == "warning" for d in diagnostics),
        "diagnostics": [as_data(diagnostic) for diagnostic in diagnostics],
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def as_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic as JSON-ready data, in the shape that `render_json` says."""
    nowhere: dict[str, Any] = {"path": None, "start": None, "end": None, "label": None}
    place = _label(diagnostic.primary) if diagnostic.primary else nowhere
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "help": diagnostic.help,
        **place,
        "related": [_label(label) for label in diagnostic.secondary],
        "fix": None if diagnostic.fix is None else [_edit(edit) for edit in diagnostic.fix],
    }


def _label(label: Label) -> dict[str, Any]:
    return {**range_of(label.span), "label": label.text}


def _edit(edit: Edit) -> dict[str, Any]:
    return {**range_of(edit.span), "text": edit.text}


def range_of(span: Span) -> dict[str, Any]:
    """A place as JSON-ready data: `path`, and `start` and `end` as 1-based `line` and `column`."""
    line, column = span.end_position
    start = {"line": span.line, "column": span.column}
    return {"path": span.file.name, "start": start, "end": {"line": line, "column": column}}
