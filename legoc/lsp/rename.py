"""Rename a brick: its id, and every place of the file that names it."""

from __future__ import annotations

import re
from pathlib import Path

from lsprotocol.types import Range, TextEdit

from legoc.lsp.cursor import Place, place_at, places
from legoc.lsp.documents import Document, brick_ids
from legoc.spec.scalars import resolve_plain
from legoc_runtime.errors import UsageError

_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")


def renamed_range(document: Document, offset: int) -> Range | None:
    """What a rename at an offset would replace; None where no brick is named."""
    place = _brick(document, offset)
    return document.positions.range(place.span.start, place.span.end) if place else None


def rename(document: Document, offset: int, new: str) -> list[TextEdit]:
    """The edits that rename the brick at an offset; its weights go by the new name from then on.

    Raises:
        UsageError: no brick is named there, the new id is not one or is taken, or the brick belongs to a base.
    """
    tree = document.tree
    if tree is None:
        raise UsageError("the file is not YAML at the moment", help="mend it first")
    place = _brick(document, offset)
    if place is None or place.brick is None:
        raise UsageError("there is no brick id here", help="put the cursor on a brick's id")
    old = place.brick
    if not _ID.fullmatch(new):
        raise UsageError(
            f"`{new}` cannot be a brick id", help="small letters, digits and `_`, beginning with a letter, at most 64"
        )
    if new != old and (new in document.ids or new in brick_ids(tree)):
        raise UsageError(f"the stack has a brick `{new}` already", help="choose another id")
    if old not in brick_ids(tree) and old not in document.ids:
        raise UsageError(f"the stack has no brick `{old}`", help="correct the id first")
    for path, base in document.bases:
        if old in brick_ids(base):
            raise UsageError(f"the brick `{old}` comes from {Path(path).name}", help="rename it there")
    # an alias stands for the text of its anchor: one place, one edit
    spans = dict.fromkeys(found.span for found in places(tree) if found.brick == old)
    text = new if isinstance(resolve_plain(new), str) else f'"{new}"'
    return [TextEdit(document.positions.range(span.start, span.end), text) for span in spans]


def _brick(document: Document, offset: int) -> Place | None:
    place = place_at(document.tree, offset) if document.tree else None
    return place if place is not None and place.brick is not None else None
