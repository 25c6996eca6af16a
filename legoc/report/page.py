"""The document around the sections: style, contents, and the policy that lets nothing in from outside."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from legoc.report.html import Html, joined, tag
from legoc.report.parts import Section
from legoc.version import __version__

_STYLE = Path(__file__).with_name("style.css")

_BRICKS = ((0, 13, 20), (3, 7, 14), (6, 1, 8))
"""The mark beside the name: left edge, upper edge and width of its three bricks."""


@dataclass(frozen=True)
class Page:
    """A report, ready to be written.

    Attributes:
        name: what the file is called after.
        kind: what it is a report of: `spec`, `run`, `comparison`.
        title: its heading.
        head: what stands under the heading: description, what it was made of, the summary.
        sections: what follows.
    """

    name: str
    kind: str
    title: str
    head: Html
    sections: tuple[Section, ...]


def render(page: Page) -> str:
    """The page as one HTML document that loads nothing and runs nothing; the same bytes for the same page."""
    style = _STYLE.read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_policy(style)}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"legoc {__version__}"),
        tag("title", f"{page.title}: legoc report"),
        Html(f"<style>{style}</style>"),
    )
    body = tag(
        "body",
        tag("a", "Skip to the report", href="#report", class_="skip"),
        tag("header", tag("span", _mark(), "legoc", class_="brand"), tag("span", f"{page.kind} report", class_="kind")),
        _contents(page),
        tag(
            "main",
            tag("div", tag("h1", page.title), page.head, class_="lead"),
            *(tag("section", tag("h2", s.title), s.body, id=s.anchor) for s in page.sections),
            id="report",
        ),
        tag("footer", tag("p", f"legoc {__version__}. This page loads nothing from elsewhere and runs no script.")),
    )
    return f'<!doctype html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


def _policy(style: str) -> str:
    """Nothing but this page's own style and the images inside it; no attribute can bring a style of its own."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _contents(page: Page) -> Html:
    listed = [section for section in page.sections if section.is_listed]
    links = [tag("li", tag("a", section.title, href=f"#{section.anchor}")) for section in listed]
    return tag("nav", tag("ol", *links), aria_label="Contents") if len(links) > 1 else Html()


def _mark() -> Html:
    boxes = [tag("rect", x=x, y=y, width=width, height=5, rx=1) for x, y, width in _BRICKS]
    return tag("svg", joined(boxes), width=20, height=19, viewBox="0 0 20 19", aria_hidden="true")
