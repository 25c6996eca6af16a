"""ruamel's event stream with types of our own. The only file that touches ruamel.

Events rather than ruamel's `compose`: duplicate keys pass `compose` silently, and on a stream depth and size can be
bounded before anything recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

EventKind = Literal["document", "alias", "scalar", "sequence", "mapping", "end", "other"]

_KINDS: dict[str, EventKind] = {
    "DocumentStartEvent": "document",
    "AliasEvent": "alias",
    "ScalarEvent": "scalar",
    "SequenceStartEvent": "sequence",
    "MappingStartEvent": "mapping",
    "SequenceEndEvent": "end",
    "MappingEndEvent": "end",
}


class YamlEvent(NamedTuple):
    """One event of a YAML stream.

    Attributes:
        kind: `sequence` and `mapping` begin a collection, `end` ends one.
        start: offset of its first character.
        end: offset just past its last.
        value: text of a scalar.
        style: `"`, `'`, `|`, `>`, or None for a plain scalar.
        anchor: name of its anchor, or of what an alias stands for.
        tag: its tag, if one is written.
    """

    kind: EventKind
    start: int
    end: int
    value: str = ""
    style: str | None = None
    anchor: str | None = None
    tag: str | None = None


class NotYamlError(Exception):
    """The text is not YAML.

    Attributes:
        message: what is wrong.
        at: offset of the problem.
        context: what was being read, or empty.
        begun: offset where that began, or None.
        character: the code point that YAML does not allow, where that is the problem.
    """

    def __init__(
        self, message: str, at: int, *, context: str = "", begun: int | None = None, character: int | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.at, self.context = message, at, context
        self.begun, self.character = begun, character


_MAX_KEPT = 8
_kept: dict[str, tuple[YamlEvent, ...]] = {}
"""The events of the texts read last: a file is read for its values, and again for its comments."""


def yaml_events(text: str) -> Iterator[YamlEvent]:
    """The events of a text, by YAML 1.2.

    Raises:
        NotYamlError: at the first place that is not YAML.
    """
    if (known := _kept.get(text)) is not None:
        yield from known
        return
    events: list[YamlEvent] = []
    for event in _parsed(text):
        events.append(event)
        yield event
    if len(_kept) >= _MAX_KEPT:
        _kept.clear()
    _kept[text] = tuple(events)


def _parsed(text: str) -> Iterator[YamlEvent]:
    yaml: Any = YAML(typ="safe", pure=True)  # pure: libyaml reads YAML 1.1; rt leaves marks in folded text
    try:
        for event in yaml.parse(text):
            yield _event(event)
    except YAMLError as error:
        raise _error(error) from error


def _event(event: Any) -> YamlEvent:
    kind = _KINDS.get(type(event).__name__, "other")
    start, end = int(event.start_mark.index), int(event.end_mark.index)
    if kind in ("document", "end", "other"):
        return YamlEvent(kind, start, end)
    anchor = None if event.anchor is None else str(event.anchor)
    if kind == "alias":
        return YamlEvent(kind, start, end, anchor=anchor)
    tag = None if event.tag is None else str(event.tag)
    if kind == "scalar":
        style = None if event.style is None else str(event.style)
        return YamlEvent(kind, start, end, str(event.value), style, anchor, tag)
    return YamlEvent(kind, start, end, anchor=anchor, tag=tag)


def _error(error: Any) -> NotYamlError:
    if isinstance(error, ReaderError):
        details: Any = error
        message = f"a character that YAML does not allow: U+{int(details.character):04X}"
        return NotYamlError(message, int(details.position), character=int(details.character))
    if not isinstance(error, MarkedYAMLError):
        return NotYamlError(str(error).partition("\n")[0], 0)
    marked: Any = error
    at = 0 if marked.problem_mark is None else int(marked.problem_mark.index)
    begun = None if marked.context_mark is None else int(marked.context_mark.index)
    return NotYamlError(str(marked.problem or marked.context), at, context=str(marked.context or ""), begun=begun)
