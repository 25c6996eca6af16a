"""The changes of a spec: each with its class, its reason, the lines that say it, and the tensors that it touches."""

from __future__ import annotations

from collections.abc import Iterator

from legoc.report.html import Html, joined, tag
from legoc.report.parts import badge, code, folded, prose
from legoc.review.changes import name_of, values_of
from legoc.review.classify import Verdict
from legoc.review.compare import Review
from legoc.review.render.words import TITLES, described, symbol, tensor_lines
from legoc.review.sides import Side
from legoc.review.values import Value
from legoc.source import Span

SHOWN_TENSORS = 40
ROOM_BEFORE, ROOM_AFTER = 60, 100
"""Characters of a line that are shown before a value and from its beginning on."""


def change_list(review: Review) -> Html:
    """All changes, the worst first."""
    return tag("ol", *(tag("li", *_change(review, verdict)) for verdict in review.verdicts), class_="changes")


def _change(review: Review, verdict: Verdict) -> Iterator[Html]:
    name, words = name_of(verdict.change), described(verdict.change)
    rest = words.removeprefix(name)
    marked = tag("span", symbol(verdict.change), class_="symbol")
    badged = badge(TITLES[verdict.impact], verdict.impact)
    yield tag("p", marked, " ", joined([tag("code", name), tag("code", rest, class_="to")]), " ", badged, class_="what")
    yield tag("p", prose(f"{verdict.reason}."), class_="why")
    before, after = values_of(verdict.change)
    lines = [*_line(review.before, before, "was"), *_line(review.after, after, "now")]
    if lines:
        yield tag("div", *lines, class_="excerpt")
    if verdict.tensors:
        listed = tensor_lines(verdict.tensors, SHOWN_TENSORS)
        summary = f"{len(verdict.tensors):,} tensor{'s' if len(verdict.tensors) > 1 else ''}"
        yield folded(summary, tag("ul", *(tag("li", code(line)) for line in listed), class_="tensors"))


def _line(side: Side, value: Value | None, word: str) -> Iterator[Html]:
    """The line that says a value, the value marked; that it is a default where nothing says it."""
    if value is None:
        return
    if value.span is None:
        yield tag("p", tag("span", word, class_="side"), tag("span", "the default", class_="place"), class_=word)
        return
    place = tag("span", str(side.shown(value.span)), class_="place")
    yield tag("p", tag("span", word, class_="side"), place, tag("code", *_marked(value.span)), class_=word)


def _marked(span: Span) -> Iterator[Html | str]:
    """A line of source around a span, as much of it as there is room for."""
    text, column = span.file.line(span.line), span.column - 1
    end_line, end_column = span.end_position
    end = end_column - 1 if end_line == span.line else len(text)
    start, stop = max(0, column - ROOM_BEFORE), min(len(text), column + ROOM_AFTER)
    before = text[start:column]
    yield ("…" + before) if start else before.lstrip()
    yield tag("mark", text[column : min(end, stop)])
    yield text[min(end, stop) : stop] + ("…" if stop < len(text) else "")
