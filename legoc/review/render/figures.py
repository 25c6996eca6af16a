"""Figures of cost in words, and as an aligned table."""

from __future__ import annotations

from collections.abc import Sequence

from legoc.cost.table import byte_count, parameter_count, quantity
from legoc.review.costs import CostRow, Unit

HEAD = ("", "before", "after", "change")


def figure(value: float | None, unit: Unit) -> str:
    """A figure with its unit's prefix: `681.5 M`, `12.3%`; a dash where there is none."""
    if value is None:
        return "-"
    match unit:
        case "parameters":
            return parameter_count(int(value))
        case "MACs":
            return quantity(int(value)) + (" MACs" if value < 1000 else "MACs")
        case "bytes":
            return byte_count(int(value))
        case "share":
            return f"{value:.1%}"


def growth(row: CostRow) -> str:
    """`+12.0%`; of a share, percentage points: `-5.1 pp`."""
    if row.before is None or row.after is None:
        return "new" if row.before is None else "gone"
    if row.before == row.after:
        return "="
    if row.unit == "share":
        return f"{100 * (row.after - row.before):+.1f} pp"
    change = row.change
    if change is None:
        return ""
    if abs(change) >= 0.0005:
        return f"{change:+.1%}"
    return f"{change:+.2%}" if abs(change) >= 0.00005 else f"{row.after - row.before:+,.0f}"


def cells(row: CostRow) -> tuple[str, str, str, str]:
    """A row as text."""
    return row.name, figure(row.before, row.unit), figure(row.after, row.unit), growth(row)


def aligned(rows: Sequence[CostRow]) -> list[str]:
    """The rows as lines, figures to the right."""
    lines = [HEAD, *map(cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return [
        "  ".join([line[0].ljust(widths[0]), *(text.rjust(widths[i]) for i, text in enumerate(line) if i)]).rstrip()
        for line in lines
    ]
