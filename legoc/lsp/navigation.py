"""Go to definition: from a policy to its brick, from `extends` to its file, from a brick to its base."""

from __future__ import annotations

from pathlib import Path

from lsprotocol.types import Location, Position, Range

from legoc.lsp.cursor import Place, place_at
from legoc.lsp.documents import Document, brick_ids, extended_paths
from legoc.spec.tree import LocatedTree


def definition(document: Document, offset: int) -> Location | None:
    """Where what stands at an offset is defined; None where nothing is."""
    tree = document.tree
    place = place_at(tree, offset) if tree else None
    if tree is None or place is None:
        return None
    if place.path[0] == "extends" and place.part == "value":
        return _file(document, tree, place)
    if place.path[:1] == ("bricks",) and place.path[2:] == ("id",):
        return _inherited(document, place.node.text)
    if place.brick is None:
        return None
    own = brick_ids(tree).get(place.brick)
    return document.location(own.span) if own else _inherited(document, place.brick)


def _file(document: Document, tree: LocatedTree, place: Place) -> Location | None:
    for node, path in extended_paths(Path(document.name), tree):
        if node.span == place.span and path.is_file():
            return Location(path.resolve().as_uri(), Range(Position(0, 0), Position(0, 0)))
    return None


def _inherited(document: Document, id: str) -> Location | None:
    """The brick of the nearest base that has one of this id."""
    for _, tree in document.bases:
        if node := brick_ids(tree).get(id):
            return document.location(node.span)
    return None
