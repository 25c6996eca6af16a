"""Specs of two states of a repository, side by side. What a spec extends is read from its own state, never another."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from legoc.codes import report
from legoc.diagnostics import Diagnostic
from legoc.review.compare import Added, Compared, Pair, Removed
from legoc.review.git import LINK_MODE, REGULAR_MODES, Repository
from legoc.review.sides import Side, Unreadable, refused, side_of
from legoc.source import SourceFile, Span
from legoc.spec.files import DISK, Files
from legoc.spec.find import SUFFIXES, is_whole
from legoc.spec.read import MAX_BYTES, read_source, source_of
from legoc_runtime.errors import UsageError

MAX_LINKS = 8


class Tree(Files, Protocol):
    """The files of one state, by their paths from the top of the repository."""

    revision: str | None

    def paths(self) -> Sequence[str]:
        """Every file."""
        ...

    def object(self, path: str) -> str | None:
        """An id of a file's contents; None where there is no such file."""
        ...

    def side(self, path: str) -> Side | Unreadable:
        """The spec at a path."""
        ...


@dataclass
class Commit:
    """The files of a commit."""

    repository: Repository
    revision: str | None
    commit: str
    used: dict[str, str | None] = field(default_factory=dict[str, str | None])

    def __post_init__(self) -> None:
        self._entries = self.repository.files(self.commit)
        self._sources: dict[str, SourceFile | Diagnostic] = {}

    def paths(self) -> Sequence[str]:
        """Every file."""
        return list(self._entries)

    def object(self, path: str) -> str | None:
        """The id of a file's contents."""
        entry = self._entries.get(self.real(path))
        return entry.object if entry is not None and entry.mode in REGULAR_MODES else None

    def side(self, path: str) -> Side | Unreadable:
        """The spec at a path."""
        return side_of(f"{self.revision}:{path}", "spec", self.read(path), self, self.revision)

    def read(self, path: str) -> SourceFile | Diagnostic:
        """The text of a file of the commit."""
        object = self.object(path)
        self.used[path] = object
        if path not in self._sources:
            self._sources[path] = self._read(path, object)
        return self._sources[path]

    def _read(self, path: str, object: str | None) -> SourceFile | Diagnostic:
        data = None if object is None else self.repository.read(object, MAX_BYTES)
        if data is None:
            span = Span(SourceFile(path, ""), 0, 0)
            return report("LG001", f"there is no such file in {self.revision}", span, help="check the path")
        return source_of(data, path)

    def real(self, path: str) -> str:
        """The path without detours, symbolic links followed."""
        at = posixpath.normpath(path)
        for _ in range(MAX_LINKS):
            entry = self._entries.get(at)
            if entry is None or entry.mode != LINK_MODE:
                return at
            target = self.repository.read(entry.object, 4096) or b""
            at = posixpath.normpath(posixpath.join(posixpath.dirname(at), os.fsdecode(target)))
        return at

    def exists(self, path: str) -> bool:
        """Whether the commit has such a file or folder."""
        at = self.real(path)
        return at in self._entries or any(other.startswith(f"{at}/") for other in self._entries)

    def specs_beside(self, path: str) -> list[str]:
        """Names of the YAML files in the folder of a path, sorted."""
        folder = posixpath.dirname(posixpath.normpath(path))
        return sorted(
            posixpath.basename(other)
            for other in self._entries
            if posixpath.dirname(other) == folder and other.endswith(SUFFIXES)
        )


@dataclass
class WorkingTree:
    """The files that are there now; names are as seen from the current directory."""

    repository: Repository
    revision: str | None = None

    def paths(self) -> Sequence[str]:
        """Every file that git knows or would take."""
        return self.repository.working_files()

    def object(self, path: str) -> str | None:
        """The id that git would give to a file's contents."""
        try:
            data = (self.repository.root / path).read_bytes()
        except (OSError, ValueError):
            return None
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def side(self, path: str) -> Side | Unreadable:
        """The spec at a path from the top."""
        name = self._name(path)
        return side_of(name, "spec", read_source(name), DISK)

    def read(self, path: str) -> SourceFile | Diagnostic:
        """The text of a file at a path from the top."""
        return read_source(self._name(path))

    def real(self, path: str) -> str:
        """The path with symbolic links resolved."""
        return DISK.real(self._name(path))

    def exists(self, path: str) -> bool:
        """Whether anything is there."""
        return DISK.exists(self._name(path))

    def specs_beside(self, path: str) -> list[str]:
        """Names of the YAML files in the folder of a path, sorted."""
        return DISK.specs_beside(self._name(path))

    def _name(self, path: str) -> str:
        return os.path.relpath(self.repository.root / path)


@dataclass(frozen=True)
class Range:
    """Two states of a repository.

    Attributes:
        before: how people call the old one.
        after: how people call the new one; None is what is there now.
        merge_base: whether the old one is where both histories part.
    """

    before: str
    after: str | None
    merge_base: bool = False


def read_range(text: str) -> Range:
    """`A...B`, `A..B` (where nothing stands, HEAD is meant), or `A`: against what is there now."""
    for dots in ("...", ".."):
        before, found, after = text.partition(dots)
        if found:
            return Range(before or "HEAD", after or "HEAD", dots == "...")
    return Range(text, None)


def states(repository: Repository, asked: Range) -> tuple[Tree, Tree]:
    """Both states of a range.

    Raises:
        UsageError: a revision does not exist, or two have no common ancestor.
    """
    old = _commit(repository, asked.before)
    if asked.after is None:
        return Commit(repository, asked.before, old), WorkingTree(repository)
    new, name = _commit(repository, asked.after), asked.before
    if asked.merge_base:
        base = repository.merge_base(old, new)
        if base is None:
            raise UsageError(
                f"{asked.before} and {asked.after} have no common ancestor here",
                help="fetch more of the history (on GitHub: `fetch-depth: 0`), or compare them with two dots",
            )
        name = name if base == old else base[:10]
        old = base
    return Commit(repository, name, old), Commit(repository, asked.after, new)


def pairs(repository: Repository, before: Tree, after: Tree, paths: Sequence[str]) -> list[Compared]:
    """The specs of two states, side by side, renamed ones followed.

    Args:
        repository: where they are.
        before: the old state.
        after: the new one.
        paths: files, folders and patterns from the current directory; none means the whole repository.

    Raises:
        UsageError: a path names nothing in either state.
    """
    wanted = [(path, _from_top(repository, path)) for path in paths]
    old, new = _specs(before, [top for _, top in wanted]), _specs(after, [top for _, top in wanted])
    for path, top in wanted:
        if not any(_is_named(found, top) for found in (*old, *new)):
            late = "options go before `--`" if path.startswith("-") else "name a spec or a folder of specs"
            raise UsageError(f"there is no spec at `{path}`, before or after", help=late)
    moved = _renames(repository, before, after, [top for _, top in wanted])
    known, there = set(before.paths()), set(after.paths())
    came_from = {path: was for path, was in moved.items() if path in new and path not in known}
    gone = [path for path in old if path not in new and path not in came_from.values()]
    # a spec that moved out of the named paths is followed too
    went_to = {was: path for path, was in moved.items() if was in gone and path in there}
    found: list[Compared] = []
    for path in new:
        was = came_from.get(path, path)
        is_spec = was in old or (was in known and (was != path or _is_spec(before, was)))
        found.append(_pair(before, was, after, path) if is_spec else Added(after.side(path)))
    return found + [_pair(before, path, after, went_to.get(path, path)) for path in gone]


def _renames(repository: Repository, before: Tree, after: Tree, tops: Sequence[str]) -> dict[str, str]:
    """Path after -> path before; among the named paths first, then to and from everywhere else."""
    commits = [tree.commit for tree in (before, after) if isinstance(tree, Commit)]
    states = commits[0], commits[1] if len(commits) > 1 else None
    near = repository.renames(*states, tops) if tops else {}
    taken = {*near.values()}
    rest = {path: was for path, was in repository.renames(*states).items() if path not in near and was not in taken}
    return near | rest


def specs_of(repository: Repository, tree: Tree, paths: Sequence[str]) -> list[str]:
    """Paths from the top of the specs of one state.

    Args:
        repository: where it is.
        tree: the state.
        paths: files, folders and patterns from the current directory; none means the whole repository.
    """
    return _specs(tree, [_from_top(repository, path) for path in paths])


def revision_side(repository: Repository, text: str) -> Side | Unreadable | None:
    """The spec that `REV:path` names, as git reads it: from the top, or from here with `./`; None for other texts."""
    revision, colon, path = text.partition(":")
    if not colon or not revision or not path:
        return None
    commit = repository.commit(revision)
    if commit is None:
        return refused(text, f"there is no revision `{revision}`", "check it with `git log`")
    top = _from_top(repository, path) if path.startswith(("./", "../")) else posixpath.normpath(path)
    return Commit(repository, revision, commit).side(top)


def _commit(repository: Repository, revision: str) -> str:
    commit = repository.commit(revision)
    if commit is None:
        help = "check it with `git log`; what was not fetched is not there"
        raise UsageError(f"there is no revision `{revision}`, and nothing at such a path", help=help)
    return commit


def _pair(before: Tree, old: str, after: Tree, new: str) -> Compared:
    if before.object(old) is None:
        return Added(after.side(new))
    if after.object(new) is None:
        return Removed(before.side(old))
    if not isinstance(before, Commit):
        return Pair(before.side(old), after.side(new))
    before.used.clear()
    mine = before.side(old)
    same = old == new and all(
        object is not None and after.object(path) == object for path, object in before.used.items()
    )
    # equal files, and all that they extend: the same spec, which need not be checked twice
    return Pair(mine, mine if same else after.side(new))


def _specs(tree: Tree, tops: Sequence[str]) -> list[str]:
    """Paths of the specs among the named files; a file that is named itself counts, whatever it says."""

    def counts(path: str) -> bool:
        is_inside = path.endswith(SUFFIXES) and (not tops or any(_is_named(path, top) for top in tops))
        return path in tops or (is_inside and _is_spec(tree, path))

    return [path for path in tree.paths() if counts(path)]


def _is_spec(tree: Tree, path: str) -> bool:
    source = tree.read(path)
    return isinstance(source, SourceFile) and is_whole(source.text)


def _is_named(path: str, top: str) -> bool:
    return top in ("", ".", path) or path.startswith(f"{top}/") or fnmatchcase(path, top)


def _from_top(repository: Repository, path: str) -> str:
    """A path from the current directory as one from the top of the repository."""
    if os.path.isabs(path):
        path = os.path.relpath(os.path.realpath(path), repository.root)
        return Path(path).as_posix()
    return posixpath.normpath(posixpath.join(repository.prefix, Path(path).as_posix()))
