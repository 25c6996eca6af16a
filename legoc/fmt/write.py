"""A document to text: order, indentation, one line a brick, columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from legoc.fmt.document import Collection, Document, Entry, Line, Scalar
from legoc.fmt.scalars import block_lines, inline
from legoc.spec.language import sections
from legoc.spec.resolved import Path
from legoc.spec.suggest import pattern

WIDTH = 120
"""Columns that a line may have before its brackets are opened over several."""

FIRST, LAST = ("id", "size"), ("skip",)
"""Keys of a brick that people look for at its ends, whatever order the language lists them in."""

BRICK = ("bricks", "*")


@dataclass
class Out:
    """A line of the result.

    Attributes:
        text: what it says, indentation included; empty for an empty line.
        comment: the comment at its end, or None.
        is_entry: whether it is a whole entry or begins one: its comment may line up with those of its neighbours.
    """

    text: str
    comment: str | None = None
    is_entry: bool = False


def write(document: Document) -> str:
    """The canonical text of a document. Ends with one line feed."""
    writer = _Writer(document)
    writer.comments(document.header, 0)
    writer.blank(document.header_ends)
    writer.block(document.root, (), 0)
    return "\n".join(_joined(writer.lines)).strip("\n") + "\n"


class _Writer:
    def __init__(self, document: Document) -> None:
        self.keeps_order = document.has_anchors
        self.lines: list[Out] = []

    def comments(self, comments: list[Line], indent: int) -> None:
        for comment in comments:
            self.blank(comment.blank_above)
            self.lines.append(Out(" " * indent + comment.text))

    @staticmethod
    def is_top(entry: Entry, collection: Collection) -> bool:
        """Whether an entry was the file's first: the empty line above it belongs to the header."""
        return collection.owner is None and entry is collection.entries[0]

    def blank(self, is_wanted: bool) -> None:
        if is_wanted and self.lines and self.lines[-1].text:
            self.lines.append(Out(""))

    def block(self, collection: Collection, path: Path, indent: int, dash: str = "") -> None:
        """The entries of a collection, a line or more each. `dash` stands before the first, which shares its line."""
        padded = {} if collection.is_mapping else self.columns(collection, path, indent)
        for i, entry in self.ordered(collection, path):
            place = (*path, i if entry.key is None else entry.key.value)
            text = padded.get(i) if entry.key is None else None
            if text is None:
                text = self.one_line(entry, place, indent)
            before = list(entry.before)
            if isinstance(entry.value, Collection) and not entry.value.entries:
                before += entry.value.after
            if text is None and entry.key is None and entry.trailing and isinstance(entry.value, Collection):
                before.append(Line(entry.trailing, False))  # the line of a dash is the first entry's
            lead = " " * (indent - len(dash)) + dash
            self.comments(before, len(lead) - len(dash))
            self.blank(entry.blank_above and not before and not self.is_top(entry, collection))
            if text is not None:
                self.lines.append(Out((lead + text).rstrip(), entry.trailing, is_entry=True))
            else:
                self.opened(entry, place, indent, dash)
            dash = ""
        self.comments(collection.after, indent)

    def opened(self, entry: Entry, path: Path, indent: int, dash: str) -> None:
        """An entry that takes several lines."""
        lead = " " * (indent - len(dash)) + dash
        head = "- " if entry.key is None else f"{_key(entry.key)}: "
        value = entry.value
        if isinstance(value, Scalar):
            indicator, *body = block_lines(value) or []
            self.lines.append(Out(lead + head + indicator, entry.trailing, is_entry=True))
            self.lines += [Out(" " * (indent + 2) + line if line else "") for line in body]
            return
        anchor = f"&{value.anchor}" if value.anchor else ""
        if entry.key is None and not anchor:
            self.block(value, path, indent + 2, dash=dash + head)
            return
        self.lines.append(Out(f"{lead}{head}{anchor}".rstrip(), entry.trailing if entry.key else None, is_entry=True))
        self.block(value, path, indent + 2)

    def one_line(self, entry: Entry, path: Path, indent: int) -> str | None:
        """An entry on one line, without its own comments; None where it has to take several."""
        head = "- " if entry.key is None else f"{_key(entry.key)}:"
        value = entry.value
        if isinstance(value, Scalar):
            text = inline(value, in_flow=False, is_predicate=_is_predicate(path))
            return None if text is None else f"{head} {text}".rstrip() if entry.key else f"{head}{text}"
        text = self.flow(value, path)
        if text is None or (value.entries and pattern(path) == ("bricks",)):
            return None
        if value.entries and not value.is_flow and pattern(path) != BRICK:
            return None
        line = f"{head} {text}" if entry.key else f"{head}{text}"
        return line if indent + len(line) <= WIDTH or not value.entries else None

    def flow(self, collection: Collection, path: Path) -> str | None:
        """A collection in brackets; None where something inside has a comment or line breaks."""
        cells = self.cells(collection, path)
        if cells is None:
            return None
        opening, closing = "{}" if collection.is_mapping else "[]"
        anchor = f"&{collection.anchor} " if collection.anchor else ""
        return f"{anchor}{opening}{', '.join(cells)}{closing}"

    def cells(self, collection: Collection, path: Path) -> list[str] | None:
        cells: list[str] = []
        for i, entry in self.ordered(collection, path):
            place = (*path, i if entry.key is None else entry.key.value)
            value = entry.value
            if isinstance(value, Scalar):
                text = inline(value, in_flow=True, is_predicate=_is_predicate(place))
            else:
                text = self.flow(value, place)
            has_comment = entry.before or entry.trailing or (isinstance(value, Collection) and value.after)
            if text is None or has_comment:
                return None
            cells.append(text if entry.key is None else f"{_key(entry.key)}: {text}")
        return None if collection.after and collection.entries else cells

    def columns(self, collection: Collection, path: Path, indent: int) -> dict[int, str]:
        """Index -> line of the items that are mappings on one line, their cells under one another."""
        rows: dict[int, list[str]] = {}
        keys: dict[int, list[str]] = {}
        for i, entry in enumerate(collection.entries):
            value = entry.value
            if not isinstance(value, Collection) or not value.is_mapping or value.anchor is not None:
                continue
            if self.one_line(entry, (*path, i), indent) and (cells := self.cells(value, (*path, i))):
                rows[i] = cells
                keys[i] = [e.key.value for _, e in self.ordered(value, (*path, i)) if e.key]
        aligned = {i: [*(f"{cell}," for cell in cells[:-1]), cells[-1]] for i, cells in rows.items()}
        for j in range(max(map(len, rows.values()), default=0)):
            here = [i for i in rows if j < len(rows[i])]
            if len({keys[i][j] for i in here}) > 1:
                break
            padded = [i for i in here if j + 1 < len(rows[i])]
            width = max((len(aligned[i][j]) for i in padded), default=0)
            for i in padded:
                aligned[i][j] = aligned[i][j].ljust(width)
        lines = {i: f"- {{{' '.join(cells)}}}" for i, cells in aligned.items()}
        return lines if all(indent + len(line) <= WIDTH for line in lines.values()) else {}

    def ordered(self, collection: Collection, path: Path) -> Iterator[tuple[int, Entry]]:
        """Entries with their indices: keys of a section in the language's order, then unknown ones as they stand."""
        entries = list(enumerate(collection.entries))
        section = sections().get(pattern(path))
        if not collection.is_mapping or section is None or self.keeps_order:
            return iter(entries)
        known = list(section.keys)
        if pattern(path) == BRICK:
            known = [*FIRST, *(key for key in known if key not in FIRST + LAST), *LAST]
        rank = {key: i for i, key in enumerate(known)}
        return iter(sorted(entries, key=lambda item: rank.get(item[1].key.value if item[1].key else "", len(rank))))


def _key(key: Scalar) -> str:
    if key.style is None and not key.value:
        return '""'
    text = inline(key, in_flow=True)
    assert text is not None, "a key is written on one line"
    return f"{text} " if key.style == "*" else text


def _is_predicate(path: Path) -> bool:
    return pattern(path) == (*BRICK, "skip") or (len(path) == 3 and path[0] == "skip_policies")


def _joined(lines: list[Out]) -> Iterator[str]:
    """The lines with their comments, which line up over neighbours where the width allows it."""
    column = 0
    for i, line in enumerate(lines):
        if i == 0 or not _are_neighbours(lines[i - 1], line):
            column = _comment_column(lines, i)
        if line.comment is None:
            yield line.text
        else:
            gap = max(2, column - len(line.text))
            yield f"{line.text}{' ' * gap}{line.comment}"


def _are_neighbours(one: Out, other: Out) -> bool:
    return one.is_entry and other.is_entry and _indent(one) == _indent(other)


def _indent(line: Out) -> int:
    return len(line.text) - len(line.text.lstrip(" "))


def _comment_column(lines: list[Out], begin: int) -> int:
    """Where the comments of the run of neighbours that begins here start; 0 where they would leave the width."""
    end = begin + 1
    while end < len(lines) and _are_neighbours(lines[end - 1], lines[end]):
        end += 1
    run = [line for line in lines[begin:end] if line.comment is not None]
    column = max((len(line.text) for line in run), default=0) + 2
    return column if all(column + len(line.comment or "") <= WIDTH for line in run) else 0
