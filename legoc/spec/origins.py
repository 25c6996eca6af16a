"""Where every value of a spec comes from: a place in a file, `--set`, or the language's default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from legoc.source import SourceFile, Span
from legoc.spec.canonical import resolved_yaml
from legoc.spec.compose import compose
from legoc.spec.overrides import is_override
from legoc.spec.resolved import Path, StackSpec
from legoc.spec.tree import MappingNode, Node, SequenceNode, plain

_NOT_FROM_DEFAULTS = "train_patches"
"""What an image-brick does not take from `brick_defaults`: it has one window to train."""


@dataclass(frozen=True)
class Origin:
    """One value of a resolved spec.

    Attributes:
        path: keys joined by dots, bricks by their ids: what `--set` takes.
        text: the value as canonical YAML.
        value: the value.
        span: where it was written; None for a default.
    """

    path: str
    text: str
    value: Any
    span: Span | None

    @property
    def kind(self) -> Literal["file", "set", "default"]:
        """Who said it."""
        return "default" if self.span is None else "set" if is_override(self.span.file) else "file"

    def __str__(self) -> str:
        return "--set" if self.kind == "set" else str(self.span or "default")


def origins(spec: StackSpec) -> list[Origin]:
    """Every value of a spec with its origin, in the order of the resolved text."""
    tree, _ = compose(SourceFile("resolved", resolved_yaml(spec)))
    assert tree is not None, "a resolved spec is YAML"
    ids = spec.ids
    return [
        Origin(_dotted(path, ids), _text(node), plain(node), written_at(spec, path))
        for path, node in _leaves(tree.root, ())
    ]


def origins_text(found: list[Origin]) -> str:
    """One aligned line a value: path, value, origin."""
    paths, values = max(len(o.path) for o in found), min(40, max(len(o.text) for o in found))
    return "".join(f"{o.path:<{paths}}  {_cut(o.text, values):<{values}}  {o}\n" for o in found)


def _leaves(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    """The values: scalars, lists but `bricks`, and mappings without entries."""
    if isinstance(node, MappingNode) and node.entries:
        for key, value in node.entries:
            yield from _leaves(value, (*path, key.text))
    elif isinstance(node, SequenceNode) and path == ("bricks",):
        for i, item in enumerate(node.items):
            yield from _leaves(item, (*path, i))
    else:
        yield path, node


def written_at(spec: StackSpec, path: Path) -> Span | None:
    """Where a value was written: at its place, in `brick_defaults`, or as the word that stands for its section."""
    match path:
        case ("bricks", int(i), str(key), *rest):
            inherits = key != _NOT_FROM_DEFAULTS or not all(b.covers_grid for b in spec.shape.own((spec.ids[i],)))
            places = [path, ("brick_defaults", key, *rest)] if inherits else [path]
        case ("diffusion", "kind"):
            places = [path, ("diffusion",)]
        case _:
            places = [path]
    return next((spec.spans[place] for place in places if place in spec.spans), None)


def _dotted(path: Path, ids: tuple[str, ...]) -> str:
    named = [
        ids[part] if isinstance(part, int) and path[0] == "bricks" and i == 1 else part for i, part in enumerate(path)
    ]
    return ".".join(map(str, named))


def _text(node: Node) -> str:
    return node.span.file.text[node.span.start : node.span.end]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
