"""What stands under the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from legoc.source import Span
from legoc.spec.resolved import Path
from legoc.spec.tree import LocatedTree, MappingNode, ScalarNode

PLACEMENT = ("$before", "$after")
"""Keys of a brick whose values are ids of other bricks."""


@dataclass(frozen=True)
class Place:
    """A key or a value.

    Attributes:
        path: the place in the tree; of a key, that of its value.
        part: which of the two it is.
        node: the scalar itself.
    """

    path: Path
    part: Literal["key", "value"]
    node: ScalarNode

    @property
    def brick(self) -> str | None:
        """The id that is written here: of a brick, in a policy or a stage, or of a neighbour in the stack."""
        match self.part, self.path:
            case "value", ("bricks", int(), "id") if self.node.text:
                return self.node.text
            case "value", ("bricks", int(), key) if key in PLACEMENT and self.node.text:
                return self.node.text
            case "value", ("train", "stages", int(), "train", int()) if self.node.text:
                return self.node.text
            case "key", ("skip_policies", str(), str(id)) if not id.startswith("$"):
                return id
            case _:
                return None

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.node.span


def is_predicate(path: Path) -> bool:
    """Whether a path's value is a predicate."""
    match path:
        case ("bricks", _, "skip") | ("skip_policies", _, _):
            return True
        case _:
            return False


def place_at(tree: LocatedTree, offset: int) -> Place | None:
    """The key or the scalar value at an offset; just behind its last character counts, as an editor's cursor does."""
    return next((place for place in places(tree) if place.span.start <= offset <= place.span.end), None)


def places(tree: LocatedTree) -> list[Place]:
    """Every key and every scalar value, keys first where both touch."""
    found: list[Place] = []
    for path, node in tree.nodes.items():
        if isinstance(node, MappingNode):
            found += [Place((*path, key.text), "key", key) for key, _ in node.entries]
    found += [Place(path, "value", node) for path, node in tree.nodes.items() if isinstance(node, ScalarNode)]
    return found
