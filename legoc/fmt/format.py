"""Formatting, and the proof that it changed the layout alone."""

from __future__ import annotations

from legoc.diagnostics import SpecError
from legoc.fmt.read import read
from legoc.fmt.write import write
from legoc.source import SourceFile
from legoc.spec.comments import comments
from legoc.spec.compose import compose
from legoc.spec.tree import MappingNode, Node, ScalarNode, SequenceNode
from legoc_runtime.errors import RunError

_PLAINLY = (
    "write it more plainly: no anchors, no text in blocks, a line a comment, "
    "no key of more than 1,024 characters (YAML has no `key: value` for it)"
)


def format_text(text: str, name: str) -> str:
    """The canonical layout of a spec; formatting that again changes nothing.

    Two spaces a level, keys in the language's order, a brick on one line where it fits and nothing inside it has a
    comment, equal keys of bricks under one another, double quotes and only where they are needed, predicates always in
    them, at most one empty line in a row, line feeds, no byte order mark and no document markers. What a spec says need
    not be right; it has to be YAML that specs may use.

    Args:
        text: the spec.
        name: how diagnostics call the file.

    Raises:
        SpecError: the text is not YAML, or has parts of YAML that specs do not use.
        RunError: the text could not be laid out without changing what it says.
    """
    before = SourceFile(name, text)
    tree, findings = compose(before)
    if tree is None or findings:
        raise SpecError(findings)
    formatted = write(read(before))
    after = SourceFile(name, formatted)
    again, findings = compose(after)
    is_same = again is not None and not findings and _is_same(again.root, tree.root)
    if not is_same or _said(before) != _said(after):
        message = f"{name} uses YAML that cannot be laid out anew without changing what it says; it was left as it is"
        raise RunError(message, help=_PLAINLY)
    return formatted


def _is_same(one: Node, other: Node) -> bool:
    """Equality of values that tells 1 from 1.0 and from true and takes not-a-number for itself; keys have no order."""
    match one, other:
        case MappingNode(), MappingNode():
            first, second = ({key.text: value for key, value in node.entries} for node in (one, other))
            return first.keys() == second.keys() and all(_is_same(first[key], second[key]) for key in first)
        case SequenceNode(), SequenceNode():
            return len(one.items) == len(other.items) and all(map(_is_same, one.items, other.items))
        case ScalarNode(), ScalarNode():
            return repr(one.value) == repr(other.value)
        case _:
            return False


def _said(file: SourceFile) -> list[str]:
    return sorted(comment.text for comment in comments(file))
