"""Formatting: what `legoc fmt` writes, as one edit."""

from __future__ import annotations

from lsprotocol.types import TextEdit

from legoc.diagnostics import SpecError
from legoc.fmt import format_text
from legoc.lsp.documents import Document


def formatted(document: Document) -> list[TextEdit] | None:
    """The edit that lays a document out anew: none where it is so already, None while it cannot be read."""
    try:
        text = format_text(document.text, document.name)
    except SpecError:
        return None  # the diagnostics say why already
    return [] if text == document.text else [TextEdit(document.positions.whole(), text)]
