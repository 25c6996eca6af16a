"""A report on a set as text."""

from __future__ import annotations

from collections.abc import Iterator

from legoc.data.findings import ClassCount, DataReport

MANY = 20
"""So many classes are listed one by one; of more, the largest and the smallest."""


def table(report: DataReport) -> str:
    """The text, ending with a newline."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: DataReport) -> Iterator[str]:
    yield f"{report.path}: {report.examples:,} {report.form}"
    if report.form == "images":
        yield f"colour    {'RGB' if report.channels == 3 else 'gray'}"
        yield f"sizes     {_sizes(report)}"
    else:
        yield f"shape     {report.channels}x{_sizes(report)}"
    yield f"labels    {report.labels}"
    if report.values is not None:
        v = report.values
        yield f"values    {v.low:.3g} to {v.high:.3g}, mean {v.mean:.3g}, standard deviation {v.std:.4g}"
    yield from _classes(report.classes or ())
    for each in report.findings:
        yield ""
        yield f"{each.kind}: {each.message}"
        yield from (f"    {name}" for name in each.examples)
        if each.count > len(each.examples):
            yield f"    and {each.count - len(each.examples):,} more"
        yield f"  help: {each.help}"
    if report.values is not None:
        yield ""
        count = len(report.findings)
        yield "nothing was found" if not count else f"{count} finding{'s' if count > 1 else ''}"


def _sizes(report: DataReport) -> str:
    sides = [f"{size.height}x{size.width}" for size in report.sizes]
    if len(sides) < 2:
        return "".join(sides) or "none can be read"
    few = [f"{side} ({size.examples:,})" for side, size in zip(sides[:6], report.sizes, strict=False)]
    return ", ".join(few) + (f" and {len(sides) - 6:,} more" if len(sides) > 6 else "")


def _classes(classes: tuple[ClassCount, ...]) -> Iterator[str]:
    if not classes:
        return
    yield ""
    by_size = sorted(classes, key=lambda each: (-each.examples, each.label))
    shown = classes if len(classes) <= MANY else (*by_size[:5], *by_size[-5:])
    if shown is not classes:
        yield f"the five largest and smallest of {len(classes):,} classes:"
    width = max(len(f"{each.examples:,}") for each in shown)
    for each in shown:
        yield f"{each.label:>9}  {each.examples:>{width},}  {each.name or ''}".rstrip()
