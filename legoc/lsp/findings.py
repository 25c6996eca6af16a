"""Our diagnostics in the protocol's shape, file by file, and their fixes as code actions."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol.types import (
    CodeAction,
    CodeActionKind,
    DiagnosticRelatedInformation,
    DiagnosticSeverity,
    Range,
    TextEdit,
    WorkspaceEdit,
)
from lsprotocol.types import Diagnostic as LspDiagnostic

from legoc.diagnostics import Diagnostic
from legoc.lsp.documents import Document

SOURCE = "legoc"
MISSING = "LG102"

_SEVERITIES = {"error": DiagnosticSeverity.Error, "warning": DiagnosticSeverity.Warning}


def findings(document: Document) -> dict[str, list[LspDiagnostic]]:
    """URI -> what `legoc check` finds there, for the document (always present) and every file that it extends."""
    found: dict[str, list[LspDiagnostic]] = {document.uri: []}
    for diagnostic in document.checked.diagnostics:
        if diagnostic.code == MISSING and document.is_base:
            continue  # said of the specs that extend it, where it is still missing there
        uri = document.location(diagnostic.primary.span).uri if diagnostic.primary else document.uri
        found.setdefault(uri, []).append(to_protocol(document, diagnostic))
    return found


def to_protocol(document: Document, diagnostic: Diagnostic) -> LspDiagnostic:
    """One diagnostic: the message with its help, and the other places that belong to it."""
    related = [
        DiagnosticRelatedInformation(document.location(label.span), label.text or "belongs to it")
        for label in diagnostic.secondary
    ]
    lines = [diagnostic.message, *([f"help: {diagnostic.help}"] if diagnostic.help else [])]
    return LspDiagnostic(
        range=_range(document, diagnostic),
        message="\n".join(lines),
        severity=_SEVERITIES[diagnostic.severity],
        code=diagnostic.code,
        source=SOURCE,
        related_information=related or None,
    )


def _range(document: Document, diagnostic: Diagnostic) -> Range:
    return document.location(diagnostic.primary.span).range if diagnostic.primary else document.positions.range(0, 0)


def code_actions(document: Document, wanted: Range) -> list[CodeAction]:
    """The certain fixes of the diagnostics that a range touches."""
    start, end = document.positions.offset(wanted.start), document.positions.offset(wanted.end)
    return list(_actions(document, start, end))


def _actions(document: Document, start: int, end: int) -> Iterable[CodeAction]:
    for diagnostic in document.checked.diagnostics:
        span = diagnostic.primary.span if diagnostic.primary else None
        if not diagnostic.fix or span is None or span.file.name != document.name:
            continue
        if span.start <= end and start <= span.end:
            changes: dict[str, list[TextEdit]] = {}
            for edit in diagnostic.fix:
                location = document.location(edit.span)
                changes.setdefault(location.uri, []).append(TextEdit(location.range, edit.text))
            yield CodeAction(
                title=f"{diagnostic.code}: {diagnostic.help or 'mend it'}",
                kind=CodeActionKind.QuickFix,
                diagnostics=[to_protocol(document, diagnostic)],
                edit=WorkspaceEdit(changes=changes),
                is_preferred=True,
            )
