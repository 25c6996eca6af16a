"""Comments of a YAML text, with their places. The scanner decides what a comment is: a `#` inside text is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from legoc.source import SourceFile, Span
from legoc.spec.yaml_event import YamlEvent
from legoc.spec.yaml_events import yaml_events

_COMMENT = re.compile(r"(?:(?<=\s)|(?<![^\ufeff])|^)#[^\n\r]*", re.MULTILINE)
_PROPERTY = re.compile(r"\s*[&!]\S*")
_SPACE = re.compile(r"\s*")


class Comment(NamedTuple):
    """A comment, its `#` included and trailing space not.

    Attributes:
        span: where it stands.
        alone: whether nothing else stands on its line.
    """

    span: Span
    alone: bool

    @property
    def text(self) -> str:
        """The comment as it is written, from its `#` on."""
        return self.span.file.text[self.span.start : self.span.end]


def comments(file: SourceFile) -> list[Comment]:
    """Every comment of a file, in order.

    Raises:
        NotYamlError: the text is not YAML.
    """
    return comments_between(file, yaml_events(file.text))


def comments_between(file: SourceFile, events: Iterable[YamlEvent]) -> list[Comment]:
    """The comments of a file whose events are known."""
    found: list[Comment] = []
    at = 0
    for event in events:
        if event.kind == "scalar":
            found += _in_gap(file, at, event.start)
            found += _in_scalar(file, event)
            at = event.end
    return [*found, *_in_gap(file, at, len(file.text))]


def _in_gap(file: SourceFile, start: int, end: int) -> Iterator[Comment]:
    """Comments where no scalar is: a `#` there, after white space, is always one."""
    for match in _COMMENT.finditer(file.text, start, end):
        stop = match.start() + len(match[0].rstrip())
        line_start = file.text.rfind("\n", 0, match.start()) + 1
        alone = not file.text[line_start : match.start()].strip(" \t\r\ufeff")
        yield Comment(Span(file, match.start(), stop), alone)


def _in_scalar(file: SourceFile, event: YamlEvent) -> Iterator[Comment]:
    """Comments between a scalar's anchor or tag and its text, and in the header of a block scalar."""
    at = event.start
    while event.anchor is not None or event.tag is not None:
        if match := _PROPERTY.match(file.text, at, event.end):
            at = match.end()
            continue
        at = _SPACE.match(file.text, at, event.end).end()  # type: ignore[union-attr]
        if not file.text.startswith("#", at):
            break
        line_end = file.text.find("\n", at, event.end)
        stop = line_end if line_end >= 0 else event.end
        yield from _in_gap(file, at, stop)
        at = stop
    if event.style in ("|", ">"):
        line_end = file.text.find("\n", at, event.end)
        yield from _in_gap(file, at, line_end if line_end >= 0 else event.end)
