"""The located tree to the written model.

What is broken is reported, cut out and remembered; the rest goes on to the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic_core import ValidationError

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Edit
from legoc.source import Span
from legoc.spec.directives import DIRECTIVES
from legoc.spec.findings import finding, place
from legoc.spec.language import Key, Section, read_written, sections
from legoc.spec.resolved import Path
from legoc.spec.suggest import Guess, guess_key, pattern, section_name
from legoc.spec.tree import LocatedTree, MappingNode, ScalarNode, plain

if TYPE_CHECKING:
    from legoc.spec.written import Spec

MAX_GUESSES = 100
"""How many unknown names are told what they were meant to be; comparing thousands of words takes seconds."""


class Loaded(NamedTuple):
    """What could be read of a spec.

    Attributes:
        tree: the document.
        written: the values that are sound; what is broken is absent.
        broken: places that a diagnostic speaks of already: rules stay silent about them and about what is inside.
    """

    tree: LocatedTree
    written: Spec
    broken: frozenset[Path]

    def is_broken(self, *path: str | int) -> bool:
        """Whether a place, or one that encloses it, is spoken of already."""
        return any(path[:length] in self.broken for length in range(1, len(path) + 1))

    def span(self, *path: str | int) -> Span:
        """The span of the value at a path, or of the nearest enclosing one."""
        return self.tree.span(path)


def load(tree: LocatedTree) -> tuple[Loaded, list[Diagnostic]]:
    """Read the written model off a tree.

    Findings: LG101 unknown key, LG102 missing key, LG103 wrong type, LG104 out of range, LG105 not a choice, LG106
    unreadable text.
    """
    data: dict[str, Any] = plain(tree.root)
    broken = {path for path, node in tree.nodes.items() if isinstance(node, ScalarNode) and node.broken}
    _prune(data, broken)
    diagnostics: list[Diagnostic] = []
    guessed: dict[Path, Diagnostic] = {}
    guesses = 0
    try:
        written = read_written(data)
    except ValidationError as errors:
        for error in errors.errors(include_url=False):
            if error["type"] == "extra_forbidden":
                path, guess, diagnostic = _unknown_key(tree, error["loc"], guesses=guesses < MAX_GUESSES)
                guesses += 1
                broken.add(path)
                if guess.key is not None and guess.section is None:
                    meant = (*path[:-1], guess.key)
                    if meant in broken:  # two keys may be meant for it: nothing is certain
                        diagnostic = replace(diagnostic, fix=None)
                        diagnostics = [d if d is not guessed.get(meant) else replace(d, fix=None) for d in diagnostics]
                    guessed[meant] = diagnostic
                    broken.add(meant)  # the misspelt key is not missing as well
                if path[-1] in DIRECTIVES:  # composition speaks of those in lists
                    continue
            else:
                path, diagnostic = finding(tree, error)
                broken.add(path)
            diagnostics.append(diagnostic)
        _prune(data, broken)
        written = read_written(data)
    missing = list(_missing(tree, broken))
    broken.update(path for paths, _ in missing for path in paths)
    return Loaded(tree, written, frozenset(broken)), [
        *diagnostics,
        *(diagnostic for _, diagnostic in missing),
    ]


def _prune(data: dict[str, Any], broken: Iterable[Path]) -> None:
    """Cut broken places out. A broken brick becomes an empty one, so that the others keep their places."""
    for path in sorted(broken, key=len, reverse=True):
        while path and isinstance(path[-1], int) and path[:-1] != ("bricks",):
            path = path[:-1]
        holder = _holder(data, path)
        if isinstance(holder, dict):
            cast("dict[str, Any]", holder).pop(str(path[-1]), None)
        elif isinstance(holder, list) and isinstance(path[-1], int):
            holder[path[-1]] = {}


def _holder(data: dict[str, Any], path: Path) -> Any:
    """The dict or list that holds a path's last part; None where a part of the way is absent."""
    at: Any = data
    for part in path[:-1]:
        if isinstance(at, dict):
            at = cast("dict[str, Any]", at).get(str(part))
        elif isinstance(at, list) and isinstance(part, int):
            at = cast("list[Any]", at)[part]
        else:
            return None
    return at


def _unknown_key(tree: LocatedTree, path: Path, *, guesses: bool) -> tuple[Path, Guess, Diagnostic]:
    section, key = path[:-1], str(path[-1])
    span = tree.key(path) or tree.span(path)
    # what another file wrote can be meant: this one overrides it
    keys = {known: tree.key((*section, known)) for known in sections()[pattern(section)].keys}
    written = [known for known, at in keys.items() if at is not None and at.file is span.file]
    guess = guess_key(key, section, written, lambda known: tree.has((known,))) if guesses else Guess(None)
    where = "at the top level" if not section else f"in {place(tree, section)}"
    if guess.section is not None:
        help = f"`{guess.key}` belongs {'in ' if guess.section else 'at '}{section_name(guess.section)}"
    elif guess.key is not None:
        help = f"did you mean `{guess.key}`?"
    else:
        known = ", ".join(sections()[pattern(section)].keys)
        help = f"the keys here are {known}"
    # an alias as a key has the span of its anchor, which must stay
    whole = tree.nodes[section].span
    is_own = whole.file is span.file and whole.start <= span.start < whole.end
    fix = [Edit(span, str(guess.key))] if guess.is_certain and is_own else None
    return path, guess, report("LG101", f"unknown key `{key}` {where}", span, help=help, fix=fix)


def _missing(tree: LocatedTree, broken: set[Path]) -> Iterator[tuple[list[Path], Diagnostic]]:
    """One finding a section, with the places of all keys that are missing there."""
    for path, node in tree.nodes.items():
        section = sections().get(pattern(path))
        if section is None or not isinstance(node, MappingNode):
            continue
        if any(path[:length] in broken for length in range(1, len(path) + 1)):
            continue
        written = {entry[0].text for entry in node.entries}
        absent = [key for key in section.required if key not in written]
        absent = [
            key
            for key in absent
            if (*path, key) not in broken and not _stands_instead(section, key, path, written, broken)
        ]
        if absent:
            message = f"{place(tree, path)} has no {', '.join(f'`{key}`' for key in absent)}"
            help = "; ".join(f"add `{key}`: {section.keys[key].about}{_one_of(section.keys[key])}" for key in absent)
            yield [(*path, key) for key in absent], report("LG102", message, tree.head(path), help=help)


def _one_of(key: Key) -> str:
    """What to choose between, where a key takes one of a few words."""
    return f", {key.kind}" if key.kind.startswith("`") else ""


def _stands_instead(section: Section, key: str, path: Path, written: set[str], broken: set[Path]) -> bool:
    """Whether a required key is not needed, because another one stands instead of it (even if it is broken)."""
    other = section.instead.get(key)
    return other is not None and (other in written or (*path, other) in broken)
