"""A table of a study, aligned for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from legoc.render.lines import visible


@dataclass(frozen=True)
class Table:
    """Rows under a head.

    Attributes:
        head: names of the columns.
        rows: a text for each column.
        left: so many columns, the first ones, are words; the others are numbers.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1

    def text(self) -> str:
        """Aligned columns; ends with a newline."""
        lines = [[visible(cell) for cell in line] for line in (self.head, *self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]

        def cell(i: int, words: str) -> str:
            return words.ljust(widths[i]) if i < self.left else words.rjust(widths[i])

        return "".join("  ".join(cell(i, words) for i, words in enumerate(line)).rstrip() + "\n" for line in lines)

    def markdown(self) -> str:
        """Pipes; ends with a newline."""
        rule = ["---" if i < self.left else "---:" for i in range(len(self.head))]
        escaped = [[visible(cell).replace("|", "\\|") for cell in line] for line in (self.head, *self.rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in (escaped[0], rule, *escaped[1:]))


def page(title: str, tables: Sequence[Table], notes: Sequence[str]) -> str:
    """A page of Markdown: title, tables, notes; ends with a newline."""
    parts = [f"# {visible(title)}\n", *(table.markdown() for table in tables)]
    if notes:
        parts.append("".join(f"- {visible(note)}\n" for note in notes))
    return "\n".join(parts)


def number(value: float | None, places: int = 4) -> str:
    """A number with so many significant digits; `-` where there is none."""
    return "-" if value is None else f"{value:.{places}g}"
