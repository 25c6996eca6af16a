"""A page as a parser reads it, and what must hold of every page."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from legoc.report.page import render
from legoc.report.request import report_request

NAMES = (
    "a article body code dd details div dl dt figcaption figure footer h1 h2 h3 head header html img li main mark meta "
    "nav ol p pre rect section span style summary svg table tbody td th thead title tr ul"
)
ALLOWED = set(NAMES.split())
EMPTY = {"img", "meta", "rect"}


class Reading(HTMLParser):
    """A page: its elements with their attributes, and the text of its body."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.page, self.elements, self.texts, self._open = page, list[tuple[str, dict[str, str | None]]](), [""], [""]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), f"{tag} says an attribute twice"
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self._open[-1] not in ("style", "title"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        """What a reader reads, with single spaces."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(*what: str | Path, overrides: tuple[str, ...] = ()) -> Reading:
    """The page of what a command line names, held against what must be true of every page."""
    reading = Reading(render(report_request([str(part) for part in what], overrides).page))
    check(reading)
    return reading


def check(page: Reading) -> None:
    """Nothing comes from elsewhere, nothing runs, and everybody can read it."""
    assert {name for name, _ in page.elements} <= ALLOWED
    attributes = [(name, key, value or "") for name, given in page.elements for key, value in given.items()]
    assert not [key for _, key, _ in attributes if key.startswith("on") or key in ("style", "srcset", "action")]
    assert all(value.startswith("#") for _, key, value in attributes if key in ("href", "xlink:href"))
    assert all(value.startswith("data:image/") for _, key, value in attributes if key == "src")

    (style,) = re.findall(r"<style>(.*?)</style>", page.page, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert page.all("meta")[1] == {"http-equiv": "Content-Security-Policy", "content": policy}

    ids = [value for _, key, value in attributes if key == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for _, key, value in attributes if key == "href"} <= set(ids)

    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    levels = [int(name[1]) for name, _ in page.elements if name in ("h1", "h2", "h3")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all((image.get("alt") or "").strip() for image in page.all("img"))
    assert all(head.get("scope") for head in page.all("th"))
    assert all(svg.get("aria-hidden") == "true" for svg in page.all("svg"))
