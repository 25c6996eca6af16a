"""The texts that are open in the editor, each read at most once a version."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lsprotocol.types import Location, PositionEncodingKind
from pygls.uris import to_fs_path

from legoc.lsp.positions import Positions, span_range
from legoc.source import SourceFile, Span
from legoc.spec import CheckResult, StackSpec, check_text
from legoc.spec.compose import compose
from legoc.spec.tree import LocatedTree, MappingNode, ScalarNode, SequenceNode

MAX_BASE_BYTES = 1_000_000
MAX_BASES = 64

_KEYS = r"(?:legoc|extends|bricks|brick_defaults|skip_policies)"
_OURS = re.compile(
    rf"""^(?:["']?{_KEYS}["']?[ \t]*:|\{{(?:[^\n]*[ ,{{])?["']?{_KEYS}["']?[ \t]*:|#.*legoc-v[0-9]+\.json)""",
    re.MULTILINE,
)
"""A key at the top, or a schema, that only specs and their bases have."""


@dataclass
class Document:
    """One version of an open text.

    Attributes:
        uri: how the editor calls it.
        text: all of it.
        encoding: what the protocol's columns count.
    """

    uri: str
    text: str
    encoding: PositionEncodingKind | str = PositionEncodingKind.Utf16

    @property
    def name(self) -> str:
        """The path of a file; the URI of what is no file yet."""
        return to_fs_path(self.uri) or self.uri

    @cached_property
    def file(self) -> SourceFile:
        """The text under its name."""
        return SourceFile(self.name, self.text)

    @cached_property
    def positions(self) -> Positions:
        """Offsets and the protocol's positions."""
        return Positions(self.text, self.encoding)

    @cached_property
    def tree(self) -> LocatedTree | None:
        """What this file alone says; None while it is not YAML."""
        return compose(self.file)[0]

    @cached_property
    def checked(self) -> CheckResult:
        """What `legoc check` says of the text, with everything that it extends."""
        return check_text(self.text, self.name)

    @property
    def is_base(self) -> bool:
        """Whether this is no stack by itself, but a part of others: it gives neither a version nor a name."""
        return self.tree is not None and not any(self.tree.has((key,)) for key in ("legoc", "name", "extends"))

    @property
    def is_ours(self) -> bool:
        """Whether this is a spec or a base by what it says, and no other YAML: half-written texts too."""
        return _OURS.search(self.text) is not None

    @property
    def spec(self) -> StackSpec | None:
        """The resolved spec, or None while there are errors."""
        return self.checked.spec

    @cached_property
    def ids(self) -> list[str]:
        """The ids of the bricks that policies may name, bottom to top: those of the bases too."""
        own = list(brick_ids(self.tree)) if self.tree else []
        inherited = [id for _, tree in self.bases for id in brick_ids(tree)]
        known = list(self.spec.shape.ids) if self.spec else [*inherited, *own]
        return list(dict.fromkeys(known))

    @cached_property
    def bases(self) -> list[tuple[Path, LocatedTree]]:
        """The files that this one extends, and those that they extend, nearest first. Unreadable ones are left out."""
        found: dict[Path, LocatedTree] = {}
        if self.tree is not None:
            _collect_bases(Path(self.name), self.tree, found)
        return list(found.items())

    def location(self, span: Span) -> Location:
        """A place for the editor, in this file or in another one."""
        uri = self.uri if span.file.name == self.name else plain_path(Path(span.file.name)).as_uri()
        return Location(uri, span_range(span, self.encoding))


@dataclass
class Documents:
    """The open documents by URI."""

    encoding: PositionEncodingKind | str = PositionEncodingKind.Utf16
    _open: dict[str, Document] = field(default_factory=dict[str, Document])

    def put(self, uri: str, text: str) -> Document:
        """Take a new version of a text."""
        document = Document(uri, text, self.encoding)
        self._open[uri] = document
        return document

    def get(self, uri: str) -> Document | None:
        """An open document."""
        return self._open.get(uri)

    def close(self, uri: str) -> None:
        """Forget a document."""
        self._open.pop(uri, None)

    def refresh(self) -> None:
        """Read everything anew: a file that open documents extend may have changed."""
        for uri, document in list(self._open.items()):
            self.put(uri, document.text)

    def all(self) -> list[Document]:
        """The open documents."""
        return list(self._open.values())


def brick_ids(tree: LocatedTree) -> dict[str, ScalarNode]:
    """Id -> where it stands, for the bricks that a file itself lists."""
    bricks = tree.nodes.get(("bricks",))
    count = len(bricks.items) if isinstance(bricks, SequenceNode) else 0
    nodes = [tree.scalar(("bricks", i, "id")) for i in range(count)]
    return {node.text: node for node in reversed(nodes) if node is not None}


def extended_paths(name: Path, tree: LocatedTree) -> list[tuple[ScalarNode, Path]]:
    """The files of `extends:`, each with the place that names it; paths are relative to the file that says so."""
    node = tree.nodes.get(("extends",))
    items = node.items if isinstance(node, SequenceNode) else () if node is None else (node,)
    return [(item, name.parent / item.text) for item in items if isinstance(item, ScalarNode) and item.text]


def plain_path(path: Path) -> Path:
    """An absolute path without `..`, which is how editors name a file; links are not followed."""
    return Path(os.path.abspath(path))


def _collect_bases(name: Path, tree: LocatedTree, found: dict[Path, LocatedTree]) -> None:
    for _, path in extended_paths(name, tree):
        path = plain_path(path)
        if path in found or path == plain_path(name) or len(found) >= MAX_BASES:
            continue
        if (base := _read_tree(path)) is not None:
            found[path] = base
            _collect_bases(path, base, found)


def _read_tree(path: Path) -> LocatedTree | None:
    """The tree of a base; None where it cannot be read, which is for the diagnostics to say."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_BASE_BYTES).decode("utf-8")
    except (OSError, ValueError):
        return None
    return compose(SourceFile(str(path), text))[0]


def brick_index(tree: LocatedTree, id: str) -> int | None:
    """Where a file lists the brick of an id."""
    bricks = tree.nodes.get(("bricks",))
    for i, item in enumerate(bricks.items if isinstance(bricks, SequenceNode) else ()):
        if isinstance(item, MappingNode) and (node := tree.scalar(("bricks", i, "id"))) and node.text == id:
            return i
    return None
