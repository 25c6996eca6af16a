"""One layer of a spec over another: mappings key by key, bricks by id, everything else replaced.

A layer also says what no value can say, in keys that begin with `$`: `$delete: true` takes a brick, a policy or any
other key away (beside other keys, these replace what was there); `$before: ID` and `$after: ID` place a brick.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import cast

from legoc.codes import report
from legoc.diagnostics import Diagnostic
from legoc.source import Span
from legoc.spec.directives import Directives, Place, misplaced, read_directives
from legoc.spec.resolved import Path
from legoc.spec.suggest import close
from legoc.spec.tree import MappingNode, Node, ScalarNode, SequenceNode

MAX_BRICKS = 256
"""Longer lists are not merged but put together: no stack has as many bricks, and reading it will say so."""

_BRICKS: Path = ("bricks",)
_WORDS: dict[Path, str] = {("diffusion",): "kind"}
"""Sections that may be one word, and the key that the word is the value of."""

_MAX_GUESSES = 20
"""How many findings propose what was meant; comparing thousands of names with thousands takes minutes."""


def merge(
    base: MappingNode | None, layer: MappingNode, *, keep_places: bool = False
) -> tuple[MappingNode, list[Diagnostic]]:
    """The top level of `layer` over that of `base`. Values keep the spans of the layer that set them.

    Findings: LG604 nothing to delete, LG605 a place that is not there, LG606 a directive that cannot be obeyed.

    Args:
        base: what is there so far; None where the layer is the first.
        layer: what comes over it.
        keep_places: whether mappings that both have keep the base's span and key (the layer is no file).
    """
    merger = _Merger(keep_places)
    directives, rest = merger.directives(layer)
    if directives.delete:
        help = "leave out `extends:` instead"
        merger.findings.append(report("LG606", "`$delete` of a whole spec", directives.delete, help=help))
    return merger.mapping(base, rest, ()), merger.findings


def brick_id(node: Node) -> str | None:
    """The id of a brick as far as it has one."""
    entry = node.get("id") if isinstance(node, MappingNode) else None
    return entry[1].text if entry and isinstance(entry[1], ScalarNode) else None


class _Merger:
    def __init__(self, keep_places: bool) -> None:
        self.keep_places = keep_places
        self.findings: list[Diagnostic] = []

    def mapping(self, base: MappingNode | None, layer: MappingNode, path: Path) -> MappingNode:
        """Both key by key. Keys keep the base's order, new ones follow; `layer` has no directives any more."""
        entries = {key.text: (key, value) for key, value in base.entries} if base else {}
        for key, value in layer.entries:
            before = entries.get(key.text)
            merged = self.value(before[1] if before else None, key, value, (*path, key.text), entries)
            if merged is None:
                entries.pop(key.text, None)
            elif before and self.keep_places and not isinstance(merged, ScalarNode) and type(merged) is type(before[1]):
                entries[key.text] = before[0], merged
            else:
                entries[key.text] = key, merged
        span = base.span if base and self.keep_places else layer.span
        return MappingNode(span, tuple(entries.values()))

    def value(
        self, base: Node | None, key: ScalarNode, layer: Node, path: Path, siblings: Iterable[str]
    ) -> Node | None:
        """A value over another one; None where it is deleted. `siblings` are the keys that are there."""
        if isinstance(layer, ScalarNode):
            return layer
        if isinstance(layer, SequenceNode):
            if path == _BRICKS:
                return self.bricks(base if isinstance(base, SequenceNode) else None, layer)
            self.findings.extend(misplaced(layer))
            return layer
        directives, rest = self.directives(layer)
        if directives.delete:
            if base is None:
                self.nothing(directives.delete, f"`{'.'.join(map(str, path))}`", key, siblings)
            if not rest.entries:
                return None
            base = None
        if isinstance(base, ScalarNode) and path in _WORDS:
            word = _WORDS[path]
            base = MappingNode(base.span, ((ScalarNode(base.span, word, word), base),))
        return self.mapping(base if isinstance(base, MappingNode) else None, rest, path)

    def bricks(self, base: SequenceNode | None, layer: SequenceNode) -> SequenceNode:
        """Bricks of one id become one brick, where the base has it; new ones go on top; then all are placed."""
        items: list[Node] = list(base.items) if base else []
        span = base.span if base and self.keep_places else layer.span
        if len(items) + len(layer.items) > MAX_BRICKS:
            return SequenceNode(span, (*items, *layer.items))
        places: dict[str, Place] = {}
        seen: set[str | None] = {None}
        for node in layer.items:
            if not isinstance(node, MappingNode):
                items.append(node)
                continue
            directives, brick = self.directives(node, is_brick=True)
            id = brick_id(brick)
            at = None if id in seen else _ids(items).index(id) if id in _ids(items) else None
            seen.add(id)
            if directives.delete and self.removes(directives, brick, at, items):
                if at is not None:
                    del items[at]
                continue
            if at is None:
                items.append(self.mapping(None, brick, (*_BRICKS, "*")))
            else:
                items[at] = self.brick(None if directives.delete else items[at], brick)
            if directives.place and id is not None:
                places[id] = directives.place
        return SequenceNode(span, tuple(self.arranged(items, places)))

    def removes(self, directives: Directives, brick: MappingNode, at: int | None, items: list[Node]) -> bool:
        """Whether a `$delete` takes the brick away altogether: nothing stands beside it but the id."""
        assert directives.delete is not None
        alone = [key.text for key, _ in brick.entries] in ([], ["id"])
        if at is None:
            id = brick.get("id")
            named = id[1] if id and isinstance(id[1], ScalarNode) else None
            what = f"brick `{named.text}`" if named else "a brick without `id`"
            self.nothing(directives.delete, what, named, [id for id in _ids(items) if id is not None])
        elif alone and directives.place:
            message = f"brick `{brick_id(brick)}` is deleted and placed at once"
            help = f"remove `$delete` or `{directives.place.side}`"
            self.findings.append(report("LG606", message, directives.place.key, help=help))
        return alone

    def brick(self, base: Node | None, layer: MappingNode) -> MappingNode:
        """A brick over the one of the same id, whose `id` stays where it was written first."""
        if not isinstance(base, MappingNode):
            return self.mapping(None, layer, (*_BRICKS, "*"))
        keys = replace(layer, entries=tuple(entry for entry in layer.entries if entry[0].text != "id"))
        return self.mapping(base, keys, (*_BRICKS, "*"))

    def arranged(self, items: list[Node], places: dict[str, Place]) -> list[Node]:
        """Every brick where it asks to be. Those placed beside one brick keep the order that they are written in."""
        sound = {id: place for id, place in places.items() if self.has_anchor(id, place, items)}
        try:
            # a brick that others are placed beside takes its own place first
            order = list(TopologicalSorter({id: (place.anchor.text,) for id, place in sound.items()}).static_order())
        except CycleError as error:
            ring = cast("list[str]", error.args[1])
            message = f"bricks are placed beside one another in a circle: {', '.join(f'`{id}`' for id in ring)}"
            span = next(place.key for id, place in sound.items() if id in ring)
            self.findings.append(report("LG605", message, span, help="place one of them beside another brick"))
            return items
        items = list(items)
        last: dict[str, str] = {}
        for id in order:
            if (place := sound.get(id)) is None:
                continue
            anchor = place.anchor.text
            brick = items.pop(_ids(items).index(id))
            if place.side == "$before":
                items.insert(_ids(items).index(anchor), brick)
            else:
                items.insert(_ids(items).index(last.get(anchor, anchor)) + 1, brick)
                last[anchor] = id
        return items

    def has_anchor(self, id: str, place: Place, items: list[Node]) -> bool:
        """Whether the brick that another one is placed beside is there; says so if not."""
        anchor = place.anchor.text
        others = [other for other in _ids(items) if other is not None and other != id]
        if anchor in others:
            return True
        guess = self.guess(anchor, others)
        if anchor == id:
            message = f"brick `{id}` cannot stand {place.side[1:]} itself"
        else:
            message = f"brick `{id}` is placed {place.side[1:]} `{anchor}`, which the stack does not have"
        help = f"did you mean `{guess}`?" if guess else f"the other bricks are {', '.join(others)}" if others else None
        self.findings.append(report("LG605", message, place.anchor.span, help=help))
        return False

    def directives(self, node: MappingNode, *, is_brick: bool = False) -> tuple[Directives, MappingNode]:
        """A mapping's directives, and the mapping without them."""
        directives, rest, findings = read_directives(node, is_brick=is_brick)
        self.findings += findings
        return directives, rest

    def nothing(self, span: Span, what: str, named: ScalarNode | None, known: Iterable[str]) -> None:
        """A `$delete` of what is not there."""
        names = list(islice(known, MAX_BRICKS))
        guess = self.guess(named.text, names) if named else None
        listed = f"there is {', '.join(names[:20])}" if names else "no file below this one has anything here"
        message = f"`$delete` of {what}, which is not there"
        help = f"did you mean `{guess}`?" if guess else listed
        self.findings.append(report("LG604", message, named.span if named else span, help=help))

    def guess(self, word: str, known: list[str]) -> str | None:
        """What a name was meant to be."""
        return close(word, known) if len(self.findings) < _MAX_GUESSES else None


def _ids(items: list[Node]) -> list[str | None]:
    return [brick_id(item) for item in items]
