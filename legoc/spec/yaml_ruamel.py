"""ruamel's event stream with types of our own. The only file that touches ruamel.

Events rather than ruamel's `compose`: duplicate keys pass `compose` silently, and on a stream depth and size can be
bounded before anything recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from legoc.spec.yaml_event import EventKind, NotYamlError, YamlEvent

_KINDS: dict[str, EventKind] = {
    "DocumentStartEvent": "document",
    "AliasEvent": "alias",
    "ScalarEvent": "scalar",
    "SequenceStartEvent": "sequence",
    "MappingStartEvent": "mapping",
    "SequenceEndEvent": "end",
    "MappingEndEvent": "end",
}


def ruamel_events(text: str) -> Iterator[YamlEvent]:
    """The events of any text, by YAML 1.2.

    Raises:
        NotYamlError: at the first place that is not YAML.
    """
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
