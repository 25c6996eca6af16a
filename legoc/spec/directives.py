"""What a layer of a spec says about merging: `$delete`, `$before`, `$after`, keys that are no values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.source import Span
from legoc.spec.findings import found
from legoc.spec.suggest import close
from legoc.spec.tree import MappingNode, Node, ScalarNode, SequenceNode, walk

DIRECTIVES = ("$delete", "$before", "$after")


class Place(NamedTuple):
    """Where a brick goes: directly below (`$before`) or above (`$after`) another one.

    Attributes:
        side: which of the two.
        anchor: the id of the other brick.
        key: where the directive stands.
    """

    side: Literal["$before", "$after"]
    anchor: ScalarNode
    key: Span


class Directives(NamedTuple):
    """The directives of one mapping.

    Attributes:
        delete: where `$delete: true` stands, if it does.
        place: where a brick goes, if it says so.
    """

    delete: Span | None = None
    place: Place | None = None


def read_directives(node: MappingNode, *, is_brick: bool) -> tuple[Directives, MappingNode, list[Diagnostic]]:
    """A mapping's directives, the mapping without them, and LG606 for those that cannot be obeyed."""
    entries = [entry for entry in node.entries if entry[0].text.startswith("$")]
    if not entries:
        return Directives(), node, []
    rest = replace(node, entries=tuple(entry for entry in node.entries if not entry[0].text.startswith("$")))
    findings: list[Diagnostic] = []
    delete, places = None, list[Place]()
    for key, value in entries:
        match key.text:
            case "$delete" if isinstance(value, ScalarNode) and value.value is True:
                delete = key.span
            case "$delete":
                message = f"`$delete` must be true, found {found(value)}"
                span = value.span if value.span.end > value.span.start else key.span
                findings.append(report("LG606", message, span, help="write `$delete: true`"))
            case "$before" | "$after" if is_brick and isinstance(value, ScalarNode) and value.text:
                places.append(Place(key.text, value, key.span))
            case _:
                findings.append(_cannot(key, value, is_brick))
    if len(places) == 2:
        message, help = "a brick has one place: `$before` or `$after`, not both", "remove one of them"
        first = [Label(places[0].key, "the other one is here")]
        findings.append(report("LG606", message, places[1].key, secondary=first, help=help))
    return Directives(delete, places[0] if len(places) == 1 else None), rest, findings


def misplaced(node: SequenceNode) -> Iterator[Diagnostic]:
    """LG606 for directives inside a list that is replaced as a whole: they would do nothing."""
    for _, inner in walk(node):
        for key, _ in inner.entries if isinstance(inner, MappingNode) else ():
            if key.text in DIRECTIVES:
                help = "write the list as it should be"
                yield report("LG606", f"`{key.text}` in a list, which is replaced as a whole", key.span, help=help)


def _cannot(key: ScalarNode, value: Node, is_brick: bool) -> Diagnostic:
    if key.text not in DIRECTIVES:
        guess = close(key.text[:40], DIRECTIVES)
        help = f"did you mean `{guess}`?" if guess else f"there are {', '.join(DIRECTIVES)}"
        return report("LG606", f"there is no `{key.text}`", key.span, help=help)
    if is_brick:
        span = value.span if value.span.end > value.span.start else key.span
        return report("LG606", f"`{key.text}` must be the id of a brick, found {found(value)}", span)
    return report("LG606", f"`{key.text}` places bricks, and this is none", key.span, help="remove it")
