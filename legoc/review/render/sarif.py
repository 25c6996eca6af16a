"""The format sarif: a SARIF 2.1.0 log whose rules are the classes of changes."""

from __future__ import annotations

from typing import Any, cast

from legoc.render.sarif import rule_of, sarif_log
from legoc.review.compare import Report
from legoc.review.render.findings import CODE_PREFIX, LEVELS, findings
from legoc.review.render.words import ABOUT, TITLES
from legoc.review.rules import Impact

_SARIF_LEVELS = {"error": "error", "warning": "warning", "notice": "note"}


def render_sarif(report: Report) -> str:
    """A log of one run: a result a change, and the diagnostics of sides that cannot be read."""
    found = list(findings(report))
    levels = {id(finding.diagnostic): _SARIF_LEVELS[finding.level] for finding in found}
    diagnostics = [finding.diagnostic for finding in found]
    return sarif_log(diagnostics, _rule, lambda diagnostic: levels[id(diagnostic)])


def _rule(code: str) -> dict[str, Any]:
    if not code.startswith(CODE_PREFIX):
        return rule_of(code)
    impact = cast("Impact", code.removeprefix(CODE_PREFIX))
    return {
        "id": code,
        "shortDescription": {"text": TITLES[impact]},
        "fullDescription": {"text": ABOUT[impact]},
        "help": {"text": ABOUT[impact]},
        "defaultConfiguration": {"level": _SARIF_LEVELS[LEVELS[impact]]},
    }
