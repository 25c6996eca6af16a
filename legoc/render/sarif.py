"""The format sarif: a SARIF 2.1.0 log (OASIS standard), which code-scanning services read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from legoc.codes import CODES
from legoc.diagnostics import Diagnostic, Edit, Label
from legoc.source import Span
from legoc.version import __version__

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """A log of one run: the rules that were broken with their pages, and the results.

    Columns count Unicode code points from 1; the end of a region is exclusive. A result's fingerprint is made of its
    code, the text of its line and how many equal ones came before, so that it survives lines that move.
    """
    return sarif_log(diagnostics, rule_of, lambda diagnostic: diagnostic.severity)


def sarif_log(
    diagnostics: Sequence[Diagnostic], rule: Callable[[str], dict[str, Any]], level: Callable[[Diagnostic], str]
) -> str:
    """A log of one run whose rules and levels are given.

    Args:
        diagnostics: the results.
        rule: the description of a code, as SARIF's `reportingDescriptor`.
        level: `error`, `warning` or `note`.
    """
    rules = list(dict.fromkeys(diagnostic.code for diagnostic in diagnostics))
    prints = _fingerprints(diagnostics)
    driver = {"name": "legoc", "semanticVersion": __version__, "rules": [rule(code) for code in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(diagnostic, rules.index(diagnostic.code), print, level(diagnostic))
            for diagnostic, print in zip(diagnostics, prints, strict=True)
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def rule_of(code: str) -> dict[str, Any]:
    """A diagnostic code as a rule, with its page."""
    rule = CODES[code]
    page = rule.page
    return {
        "id": code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": page.split("\n\n")[1].replace("\n", " ")},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(diagnostic: Diagnostic, rule: int, fingerprint: str, level: str) -> dict[str, Any]:
    text = diagnostic.message + (f"\nhelp: {diagnostic.help}" if diagnostic.help else "")
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": level,
        "message": {"text": text},
        "partialFingerprints": {"primaryLocationLineHash": fingerprint},
    }
    if diagnostic.primary:
        result["locations"] = [_location(diagnostic.primary)]
    if diagnostic.secondary:
        result["relatedLocations"] = [{"id": i, **_location(label)} for i, label in enumerate(diagnostic.secondary, 1)]
    if diagnostic.fix and not any(edit.span.file.is_command_line for edit in diagnostic.fix):
        result["fixes"] = [_fix(diagnostic.help or "mend it", diagnostic.fix)]
    return result


def _location(label: Label) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if label.span.file.is_command_line:
        location["logicalLocations"] = [{"name": label.span.file.name, "kind": "parameter"}]
    else:
        location["physicalLocation"] = physical = {"artifactLocation": _artifact(label.span)}
        if label.span.file.text:
            physical["region"] = _region(label.span)
    if label.text:
        location["message"] = {"text": label.text}
    return location


def _artifact(span: Span) -> dict[str, Any]:
    path = PurePath(span.file.name)
    if path.is_absolute():
        return {"uri": Path(path).as_uri()}
    # lone surrogates stand for bytes of a file name that are not UTF-8
    return {"uri": quote(path.as_posix().encode("utf-8", "surrogateescape")), "uriBaseId": "%SRCROOT%"}


def _region(span: Span) -> dict[str, int]:
    line, column = span.end_position
    return {"startLine": span.line, "startColumn": span.column, "endLine": line, "endColumn": column}


def _fix(description: str, edits: tuple[Edit, ...]) -> dict[str, Any]:
    changes: dict[str, dict[str, Any]] = {}
    for edit in edits:
        change = changes.setdefault(edit.span.file.name, {"artifactLocation": _artifact(edit.span), "replacements": []})
        replacement = {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}
        change["replacements"].append(replacement)
    return {"description": {"text": description}, "artifactChanges": list(changes.values())}


def _fingerprints(diagnostics: Sequence[Diagnostic]) -> list[str]:
    seen: dict[str, int] = {}
    prints: list[str] = []
    for diagnostic in diagnostics:
        span = diagnostic.primary.span if diagnostic.primary else None
        line = span.file.line(span.line).strip() if span else ""
        said = "\0".join((diagnostic.code, span.file.name if span else "", line))
        digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        seen[digest] = seen.get(digest, 0) + 1
        prints.append(f"{digest}:{seen[digest]}")
    return prints
