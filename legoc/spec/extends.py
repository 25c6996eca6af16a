"""`extends:`: a spec over the specs that it is based on.

Files are read depth first, each once, where it is first reached; every file is a layer over those before it, the one
that is checked the topmost. What is missing is looked for in the result, so that a base need not be complete.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.source import SourceFile
from legoc.spec.compose import MAX_CHARACTERS, compose
from legoc.spec.files import DISK, Files
from legoc.spec.findings import found, shorten
from legoc.spec.merge import merge
from legoc.spec.overrides import apply_overrides, override_file
from legoc.spec.suggest import close
from legoc.spec.tree import LocatedTree, MappingNode, Node, ScalarNode, SequenceNode
from legoc.spec.versions import LANGUAGE_VERSION, migrate

MAX_FILES = 20
MAX_LEVELS = 8


class Composed(NamedTuple):
    """A spec with all that it extends.

    Attributes:
        tree: the merged tree; None where a file could not be read, so that what is missing is not known.
        findings: what is wrong with the files and their composition.
        places: file name -> the `extends` that lead to it, nearest first; the checked file is the first, without any,
            overrides are the last.
    """

    tree: LocatedTree | None
    findings: list[Diagnostic]
    places: Mapping[str, tuple[Label, ...]]

    def led_to(self, finding: Diagnostic) -> Diagnostic:
        """A finding; one in a base gets the places that lead there from the checked file."""
        if finding.primary is None:
            return finding
        places = self.places.get(finding.primary.span.file.name, ())
        return replace(finding, secondary=(*finding.secondary, *(p for p in places if p not in finding.secondary)))

    def order(self, finding: Diagnostic) -> tuple[int, int, str]:
        """Where a finding comes in a report: the checked file first, then its bases, then overrides."""
        if finding.primary is None:
            return 0, 0, finding.code
        names, span = list(self.places), finding.primary.span
        return names.index(span.file.name) if span.file.name in names else len(names), span.start, finding.code


def compose_spec(file: SourceFile, overrides: Sequence[str] = (), files: Files = DISK) -> Composed:
    """The tree of a spec with all that it extends, and the overrides over it.

    Findings: those of `compose`, `migrate`, `merge` and `apply_overrides`; LG103 and LG104 for the value of `extends`,
    LG601 a base that cannot be read, LG602 a cycle, LG603 too many files.

    Args:
        file: the checked file; its name is its path, to which those in `extends` are relative.
        overrides: each `PATH=VALUE`, over everything else in order.
        files: where bases are read from.
    """
    gathering = _Gathering(files)
    gathering.add(file, (), LANGUAGE_VERSION)
    findings = gathering.findings
    places = {name: tuple(link.place for link in reversed(chain)) for name, chain in gathering.reached.items()}
    places |= {override_file(text).name: () for text in overrides}
    if gathering.unread:
        return Composed(None, findings, places)
    root: MappingNode | None = None
    for layer in gathering.layers:
        root, more = merge(root, layer)
        findings += more
    assert root is not None, "the checked file is a layer"
    root, more = apply_overrides(root, overrides)
    return Composed(LocatedTree(root), findings + more, places)


class _Link(NamedTuple):
    """A step from a file to one that it extends.

    Attributes:
        real: the file that extends, symbolic links resolved.
        place: where it says so.
    """

    real: str
    place: Label


class _Gathering:
    """The layers of a spec, bottom to top, and how each file was reached."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.layers: list[MappingNode] = []
        self.findings: list[Diagnostic] = []
        self.unread = False
        self.reached: dict[str, tuple[_Link, ...]] = {}
        self.seen: set[str] = set()
        self.characters = 0

    def add(self, file: SourceFile, chain: tuple[_Link, ...], version: int) -> None:
        """A file, after all that it extends. `version` is that of the file which extends it."""
        self.reached[file.name] = chain
        self.characters += len(file.text)
        root, parsed = _parse_base(file) if chain else _parse(file)
        self.findings += parsed
        if root is None:
            self.unread = True
            return
        root, version, findings = migrate(root, version)
        self.findings += findings
        if version > LANGUAGE_VERSION:
            self.unread = True  # what its words mean is not known
            return
        if entry := root.get("extends"):
            real = self.files.real(file.name)
            self.seen.add(real)
            for node in self.bases(*entry):
                link = _Link(real, Label(node.span, f"`{_short(file.name)}` extends it here"))
                self.base(file, node, (*chain, link), version)
            root = replace(root, entries=tuple(e for e in root.entries if e is not entry))
        self.layers.append(root)

    def bases(self, key: ScalarNode, value: Node) -> list[ScalarNode]:
        """The paths in an `extends:`."""
        nodes = list(value.items) if isinstance(value, SequenceNode) else [value]
        if not nodes:
            message = "`extends` must have at least 1 item"
            self.refuse(report("LG104", message, key.span, help="remove it, or name a base"))
        paths: list[ScalarNode] = []
        for node in nodes[: MAX_FILES + 1]:  # one more than there can be is enough to say so
            if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value:
                paths.append(node)
                continue
            what = "each path in `extends`" if isinstance(value, SequenceNode) else "`extends`"
            expected = "a path" if isinstance(value, SequenceNode) else "a path or a list of paths"
            span = node.span if node.span.end > node.span.start else key.span
            message = f"{what} must be {expected}, found {found(node)}"
            self.refuse(report("LG103", message, span, f"expected {expected}"))
        return paths

    def base(self, child: SourceFile, node: ScalarNode, chain: tuple[_Link, ...], version: int) -> None:
        """One base of a file."""
        path = _beside(self.files, child.name, node.text)
        real = self.files.real(path)
        ring = [link.real for link in chain]
        if real in ring:
            self.refuse(_cycle(path, node, chain[ring.index(real) :]))
        elif real in self.seen:
            return
        elif len(chain) > MAX_LEVELS:
            message = f"more than {MAX_LEVELS} files, each of which extends the next"
            self.refuse(report("LG603", message, node.span, help="put together what belongs together"))
        elif len(self.seen) >= MAX_FILES:
            message = f"more than {MAX_FILES} files in one spec"
            self.refuse(report("LG603", message, node.span, help="put together what belongs together"))
        else:
            self.seen.add(real)
            source = self.files.read(path)
            if not isinstance(source, SourceFile):
                self.refuse(_unread(self.files, path, node, source))
            elif self.characters + len(source.text) > MAX_CHARACTERS:
                message = f"the files of this spec have more than {MAX_CHARACTERS:,} characters together"
                self.refuse(report("LG603", message, node.span, help="no spec needs as many; check the path"))
            else:
                self.add(source, chain, version)

    def refuse(self, finding: Diagnostic) -> None:
        """Note what keeps a base from being read."""
        self.unread = True
        self.findings.append(finding)


def _parse(file: SourceFile) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
    tree, findings = compose(file)
    return (tree.root if tree else None), tuple(findings)


# specs with a common base parse it once; the key is the text itself, so that nothing goes stale
_parse_base = lru_cache(maxsize=32)(_parse)


def _beside(files: Files, name: str, written: str) -> str:
    """A path written in the file `name`, as seen from the current directory."""
    path = os.path.join(os.path.dirname(name), written)
    normal = os.path.normpath(path)
    return (
        normal if files.real(normal) == files.real(path) else path
    )  # `..` after a symbolic link is not the link's parent


def _short(name: str) -> str:
    return shorten(os.path.basename(name))


def _unread(files: Files, path: str, node: ScalarNode, why: Diagnostic) -> Diagnostic:
    message = f"the base `{shorten(node.text, 80)}` cannot be read: {why.message}"
    label = f"looked for {shorten(path, 100)}" if path != node.text else ""
    return report("LG601", message, node.span, label, help=_neighbour(files, path, node.text) or why.help)


def _neighbour(files: Files, path: str, written: str) -> str | None:
    """What to write for a base that is not there."""
    if not files.exists(path):
        if guess := close(os.path.basename(path), files.specs_beside(path)):
            return f"did you mean `{os.path.join(os.path.dirname(written), guess)}`?"
        return "paths in `extends` are relative to the file that says it"
    return None


def _cycle(path: str, node: ScalarNode, ring: Sequence[_Link]) -> Diagnostic:
    if len(ring) == 1:
        message = "this file extends itself"
    else:
        through = " and ".join(f"`{_short(link.place.span.file.name)}`" for link in ring[1:])
        message = f"`{_short(path)}` extends itself, through {through}"
    secondary = [link.place for link in ring if link.place.span != node.span]
    return report("LG602", message, node.span, secondary=secondary, help="remove one of these `extends`")
