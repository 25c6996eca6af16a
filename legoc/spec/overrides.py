"""`--set PATH=VALUE`: values from the command line, over those of the files and typed as they are.

An override is a layer of one value. Its text is a file of its own, named `--set PATH=VALUE`, so that whatever is wrong
with it is underlined in what was typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from legoc.codes import report
from legoc.diagnostics import Diagnostic
from legoc.source import COMMAND_LINE, SourceFile, Span
from legoc.spec.compose import compose_value
from legoc.spec.findings import shorten
from legoc.spec.merge import brick_id, merge
from legoc.spec.suggest import close
from legoc.spec.tree import MappingNode, Node, ScalarNode, SequenceNode

MAX_PARTS = 8

BRICKS = "bricks"

_FORM = "write PATH=VALUE, for example `--set bricks.top.depth=8`"
_NOT_SET = {
    "legoc": "each file says its own version",
    "extends": "write it in a file",
}


class _Part(NamedTuple):
    """One name in a path."""

    span: Span
    text: str

    @property
    def key(self) -> ScalarNode:
        return ScalarNode(self.span, self.text, self.text)


def is_override(file: SourceFile) -> bool:
    """Whether a place in this file was set on the command line."""
    return file.is_command_line


def override_file(override: str) -> SourceFile:
    """The file that an override is a text of."""
    return SourceFile(COMMAND_LINE + shorten(override, 100), override)


def apply_overrides(root: MappingNode, overrides: Sequence[str]) -> tuple[MappingNode, list[Diagnostic]]:
    """The top level of a spec with overrides over it, in order.

    Findings: LG607 an override that cannot be read, LG608 a brick that is not there, and those of a value and a merge.

    Args:
        root: the top level, all bases merged.
        overrides: each `PATH=VALUE`; a path has keys joined by dots, bricks by their ids; a value is YAML.
    """
    findings: list[Diagnostic] = []
    for text in overrides:
        layer = _layer(root, override_file(text))
        if isinstance(layer, MappingNode):
            root, layer = merge(root, layer, keep_places=True)
        findings += layer
    return root, findings


def _layer(root: MappingNode, file: SourceFile) -> MappingNode | list[Diagnostic]:
    path, equals, _ = file.text.partition("=")
    if not equals:
        return [_unread(file, 0, len(file.text), "this sets nothing: it has no `=`", _FORM)]
    parts = _parts(file, path)
    if wrong := _wrong_path(file, parts, root):
        return [wrong]
    value, findings = compose_value(file, len(path) + 1)
    if value is None:
        return findings
    end = max(value.span.end, len(path) + 1)
    if file.text[end:].strip():
        message = "YAML takes the rest of the value for a comment or another line"
        help = "put the value in quotes, inside those of the shell: 'PATH=\"VALUE\"'"
        findings.append(_unread(file, end, len(file.text), message, help))
    if findings:
        return findings
    if nothing := _changes_nothing(file, parts, value, root):
        return [nothing]
    return _nested(parts, value, value.span.end)


def _parts(file: SourceFile, path: str) -> list[_Part]:
    parts: list[_Part] = []
    at = 0
    for written in path.split("."):
        text = written.strip()
        start = at + (written.index(text) if text else 0)
        parts.append(_Part(Span(file, start, start + len(text)), text))
        at += len(written) + 1
    return parts


def _wrong_path(file: SourceFile, parts: list[_Part], root: MappingNode) -> Diagnostic | None:
    end = len(file.text.partition("=")[0])
    if empty := next((part for part in parts if not part.text), None):
        at = empty.span.start
        return _unread(file, at, at + 1, "the path has an empty part", _FORM)
    if len(parts) > MAX_PARTS:
        return _unread(file, 0, end, f"the path has more than {MAX_PARTS} parts", _FORM)
    first = parts[0]
    if first.text in _NOT_SET:
        message = f"`{first.text}` cannot be set"
        return _unread(file, first.span.start, first.span.end, message, _NOT_SET[first.text])
    if first.text != BRICKS or len(parts) == 1:
        return None
    if len(parts) > 2 and parts[2].text == "id":
        return report("LG607", "the id of a brick cannot be set", parts[2].span, help="it names the brick's weights")
    return _unknown_brick(parts[1], root, whole=len(parts) == 2)


def _unknown_brick(part: _Part, root: MappingNode, *, whole: bool) -> Diagnostic | None:
    entry = root.get(BRICKS)
    bricks = entry[1].items if entry and isinstance(entry[1], SequenceNode) else ()
    ids = [id for brick in bricks if (id := brick_id(brick)) is not None]
    if part.text in ids:
        return None
    guess = close(part.text, ids)
    help = f"did you mean `{guess}`?" if guess else f"the bricks are {', '.join(ids)}" if ids else None
    if whole and help and not guess:
        help += f"; `--set 'bricks=[{{id: {part.text}, ...}}]'` adds one"
    return report("LG608", f"there is no brick `{part.text}` to set something of", part.span, help=help)


def _nested(parts: list[_Part], value: Node, end: int) -> MappingNode | list[Diagnostic]:
    """The layer that has nothing but this value."""
    file = parts[0].span.file
    for i in range(len(parts) - 1, -1, -1):
        part = parts[i]
        span = Span(file, part.span.start, end)
        if i == 1 and parts[0].text == BRICKS:
            if not isinstance(value, MappingNode):
                message = f"brick `{part.text}` is a mapping of keys"
                help = f"say which key: `--set bricks.{part.text}.KEY=VALUE`"
                return [report("LG607", message, Span(file, 0, part.span.end), help=help)]
            id = ScalarNode(part.span, "id", "id"), part.key
            value = SequenceNode(span, (MappingNode(span, (id, *value.entries)),))
        else:
            value = MappingNode(span, ((part.key, value),))
    assert isinstance(value, MappingNode), "a path has a part"
    return value


def _changes_nothing(file: SourceFile, parts: list[_Part], value: Node, root: MappingNode) -> Diagnostic | None:
    """LG607 for an empty list of bricks or an empty mapping: merged with what is there, it would do nothing."""
    written = ".".join(part.text for part in parts)
    if isinstance(value, SequenceNode) and not value.items and written == BRICKS:
        what, help = "list of bricks", "`--set 'bricks=[{id: ID, $delete: true}]'` takes one away"
    elif isinstance(value, MappingNode) and not value.entries and not _is_new_policy(parts, root):
        what, help = "mapping", f"`--set '{written}={{$delete: true}}'` takes `{written}` away"
        if len(parts) == 2 and parts[0].text == BRICKS:
            help = f"`--set 'bricks=[{{id: {parts[1].text}, $delete: true}}]'` takes the brick away"
    else:
        return None
    message = f"an empty {what} changes nothing: it is merged with what is there"
    return _unread(file, value.span.start, value.span.end, message, help)


def _is_new_policy(parts: list[_Part], root: MappingNode) -> bool:
    policies = root.get("skip_policies")
    there = policies[1].get(parts[-1].text) if policies and isinstance(policies[1], MappingNode) else None
    return len(parts) == 2 and parts[0].text == "skip_policies" and there is None


def _unread(file: SourceFile, start: int, end: int, message: str, help: str) -> Diagnostic:
    return report("LG607", message, Span(file, start, max(end, start + 1)), help=help)
