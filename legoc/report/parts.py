"""What pages are made of: sections, cards, tables, pictures, pieces of source."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from legoc.report.html import Html, joined, tag

_SVG = "{http://www.w3.org/2000/svg}"
_NO_ANCHOR = re.compile(r"[^a-z0-9]+")
BAR_WIDTH, BAR_HEIGHT = 72, 8


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        anchor: its place in the page.
        title: its heading.
        body: what follows.
        is_listed: whether the list of contents leads to it.
    """

    anchor: str
    title: str
    body: Html
    is_listed: bool = True


@dataclass(frozen=True)
class Column:
    """A column of a table: its head, and whether figures stand in it, to the right."""

    head: str
    figures: bool = False


def card(label: str, value: str, note: str = "", *, share: float | None = None, kind: str = "") -> Html:
    """One figure of the summary: what it is, the figure, a word on it, and a bar where it is a share of something."""
    return tag(
        "div",
        tag("dt", label),
        tag(
            "dd",
            tag("span", value, class_="value"),
            None if share is None else bar(share),
            tag("span", note, class_="note") if note else None,
        ),
        class_=f"card {kind}".rstrip(),
    )


def cards(found: Sequence[Html]) -> Html:
    """The figures of the summary."""
    return tag("dl", *found, class_="cards") if found else Html()


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, sums: int = 0) -> Html:
    """A table that scrolls by itself where the page is narrower; the first cell of a row is its heading.

    Args:
        caption: what it shows.
        columns: its columns.
        rows: their cells; plain texts are escaped.
        sums: how many rows at the end are sums of those above.
    """
    heads = [tag("th", column.head, scope="col", class_="figure" if column.figures else None) for column in columns]
    body = [_row(columns, row, "sum" if i >= len(rows) - sums else None) for i, row in enumerate(rows)]
    whole = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body))
    return captioned(whole, caption)


def captioned(body: Html, caption: str) -> Html:
    """A table under its caption, which stays in place while the table scrolls, and names it to screen readers."""
    return joined([tag("p", caption, class_="caption", aria_hidden="true"), scrolling(body, caption)])


def scrolling(body: Html, label: str) -> Html:
    """A region that scrolls sideways where it is wider than the page, by keyboard too."""
    return tag("div", body, class_="scroll", role="region", tabindex=0, aria_label=label)


def bar(share: float) -> Html:
    """A share of 0 to 1 as a bar; the figure stands beside it, so that it says nothing by itself."""
    filled = max(0.0, min(1.0, share)) * BAR_WIDTH
    return tag(
        "svg",
        tag("rect", class_="track", width=BAR_WIDTH, height=BAR_HEIGHT, rx=2),
        tag("rect", class_="share", width=f"{filled:.1f}", height=BAR_HEIGHT, rx=2),
        class_="bar",
        width=BAR_WIDTH,
        height=BAR_HEIGHT,
        viewBox=f"0 0 {BAR_WIDTH} {BAR_HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def picture(svg: str, caption: str | None = None) -> Html:
    """A picture of `legoc.draw`, whole and by itself, with its own words for those who do not see it."""
    root = ElementTree.fromstring(svg)
    words = [root.findtext(f"{_SVG}{name}", "") for name in ("title", "desc")]
    return image("image/svg+xml", svg.encode(), ". ".join(filter(None, words)), _size(root), caption, "drawing")


def image(kind: str, data: bytes, alt: str, size: tuple[int, int], caption: str | None, style: str) -> Html:
    """An image inside the page.

    Args:
        kind: its media type.
        data: its bytes.
        alt: what it shows, in words.
        size: width and height in pixels at which it is shown.
        caption: what stands under it.
        style: its class.
    """
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    shown = tag("img", src=source, alt=alt, width=size[0], height=size[1])
    label = caption or alt.split(". ", 1)[0]
    return tag(
        "figure",
        scrolling(shown, label) if style == "drawing" else shown,
        tag("figcaption", caption) if caption else None,
        class_=style,
    )


def folded(summary: str, *body: Html, is_open: bool = False) -> Html:
    """What is shown once it is asked for."""
    return tag("details", tag("summary", summary), *body, open="" if is_open else None)


def facts(rows: Iterable[tuple[str, str]]) -> Html:
    """Names and what each of them is."""
    found = [joined([tag("dt", name), tag("dd", code(value))]) for name, value in rows]
    return tag("dl", *found, class_="facts")


def code(text: str) -> Html:
    """A name or a piece of code."""
    return tag("code", text)


def prose(text: str) -> Html:
    """A sentence of the project's own, in which names stand between backticks."""
    return joined(code(piece) if i % 2 else piece for i, piece in enumerate(text.split("`")))


def note(text: str, kind: str = "") -> Html:
    """A sentence that stands out."""
    return tag("p", prose(text), class_=f"notice {kind}".rstrip())


def badge(text: str, kind: str) -> Html:
    """A word on a ground in the colour of its class."""
    return tag("span", text, class_=f"badge {kind}")


def anchor(text: str) -> str:
    """A text as part of the name of a place in a page."""
    return _NO_ANCHOR.sub("-", text.lower()).strip("-") or "part"


def _row(columns: Sequence[Column], cells: Sequence[str], kind: str | None) -> Html:
    first, *rest = cells
    figures = ("figure" if column.figures else None for column in columns[1:])
    found = [tag("td", cell, class_=style) for cell, style in zip(rest, figures, strict=True)]
    return tag("tr", tag("th", first, scope="row"), joined(found), class_=kind)


def _size(root: ElementTree.Element) -> tuple[int, int]:
    return round(float(root.get("width", "0"))), round(float(root.get("height", "0")))
