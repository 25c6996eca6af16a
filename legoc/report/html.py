"""Elements of HTML that are escaped by construction: a text is escaped unless it is `Html` already."""

from __future__ import annotations

import html
from collections.abc import Iterable

from legoc.render.lines import visible

_EMPTY = frozenset({"img", "meta", "rect", "path", "br"})
"""Elements that hold nothing."""


class Html(str):
    """Text that is HTML already. Joined with other text it is a plain `str` again, and is escaped where it is used."""

    __slots__ = ()


def escaped(text: str) -> Html:
    """A text as HTML. What a reader could not see, or would be misled by, stands there by number: `<U+202E>`."""
    return text if isinstance(text, Html) else Html(html.escape(visible(text), quote=True))


def tag(name: str, /, *children: str | None, **attributes: str | int | None) -> Html:
    """An element.

    Args:
        name: what it is called.
        children: what stands in it, in order; a plain text is escaped, None is left out.
        attributes: by name, `class_` and `for_` without the underscore at their end, others with hyphens for theirs;
            None leaves one out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Html(f"<{name}{given}>" if name not in ("rect", "path") else f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def joined(parts: Iterable[str | None], between: str = "") -> Html:
    """Several pieces after one another; plain texts among them are escaped, None is left out."""
    return Html(escaped(between).join(escaped(part) for part in parts if part is not None))


def paragraphs(text: str) -> Html:
    """A text of several lines: a paragraph where an empty line ends one."""
    blocks = [" ".join(block.split()) for block in text.split("\n\n")]
    return joined(tag("p", block) for block in blocks if block)
