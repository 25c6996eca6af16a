"""What every format says in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import assert_never

from legoc.render.lines import counted
from legoc.review.changes import (
    BrickAdded,
    BrickRemoved,
    BrickRenamed,
    BricksReordered,
    Change,
    PolicyAdded,
    PolicyChanged,
    PolicyRemoved,
    TextChanged,
    ValueChanged,
    name_of,
)
from legoc.review.classify import IMPACTS
from legoc.review.compare import Report, Review
from legoc.review.rules import Impact
from legoc.review.values import Value

TITLES: dict[Impact, str] = {
    "cosmetic": "cosmetic",
    "sampling": "sampling only",
    "training": "training only",
    "resumable": "resumable",
    "meaning": "means something else",
    "breaks": "breaks weights",
}
"""The classes in words."""

ABOUT: dict[Impact, str] = {
    "cosmetic": "Checkpoints load as they are, and nothing that is computed changes.",
    "sampling": "Checkpoints load as they are; pictures are made from them in another way.",
    "training": "Checkpoints load as they are and compute the same; training goes on in another way.",
    "resumable": "Checkpoints can be carried over, and compute the same to begin with, new bricks left out.",
    "meaning": "Checkpoints load, or can be carried over, and compute something else than they were trained to.",
    "breaks": "Checkpoints do not load: trained tensors have other shapes, are missing, or have no place any more.",
}
"""The classes in a sentence."""

LOADING = {
    "as_is": "checkpoints load as they are",
    "migrate": "checkpoints load once migrated",
    "no": "checkpoints do not load",
}
"""What becomes of checkpoints, in words."""


def symbol(change: Change) -> str:
    """`+` for what is new, `-` for what is gone, `~` for what changed."""
    match change:
        case BrickAdded() | PolicyAdded():
            return "+"
        case BrickRemoved() | PolicyRemoved():
            return "-"
        case _:
            return "~"


def described(change: Change) -> str:
    """A change in one line: `bricks.top.depth 8 -> 4`."""
    name = name_of(change)
    match change:
        case ValueChanged(before=before, after=after) | PolicyChanged(before=before, after=after):
            return f"{name} {_text(before)} -> {_text(after)}"
        case BrickAdded(over=over):
            return f"{name} is new, {f'over {over[-1]}' if over else 'at the bottom'}"
        case BrickRemoved():
            return f"{name} is gone"
        case BrickRenamed(before=before):
            return f"{name} was {before.text}"
        case BricksReordered(before=before, after=after):
            return f"{name} {before.text} -> {after.text}"
        case PolicyAdded(after=value):
            return f"{name} is new: {value.text}"
        case PolicyRemoved(before=value):
            return f"{name} is gone: {value.text}"
        case TextChanged():
            return "comments or layout"
        case _:
            assert_never(change)


def headline(review: Review) -> str:
    """`breaks weights: checkpoints do not load; 2 changes`."""
    impact = TITLES[review.impact]
    return f"{impact}: {LOADING[review.loading]}; {counted(len(review.verdicts), 'change')}"


def file_name(review: Review) -> str:
    """The name of the spec that changed, with the one it had."""
    if review.before.revision is None:
        return f"{review.before.label} -> {review.after.label}"
    return f"{review.before.path} -> {review.after.path}" if review.is_moved else review.after.path


def summary(report: Report) -> str:
    """How many specs changed and how badly, in one line."""
    words: list[str] = []
    counts = Counter(review.impact for review in report.reviews)
    worst_first = [f"{counts[impact]} {TITLES[impact]}" for impact in reversed(IMPACTS) if counts[impact]]
    if report.reviews:
        words.append(f"{counted(len(report.reviews), 'spec')} changed ({', '.join(worst_first)})")
    for number, word in ((len(report.added), "added"), (len(report.removed), "removed")):
        words += [f"{counted(number, 'spec')} {word}"] if number else []
    if report.unreadable:
        words.append(f"{counted(len(report.unreadable), 'side')} could not be compared")
    elif not words:
        return f"no changes in {counted(report.unchanged, 'spec')}"
    if report.unchanged:
        words.append(f"{report.unchanged} unchanged")
    return ", ".join(words)


def tensor_lines(lines: Sequence[object], most: int) -> list[str]:
    """The first few, and how many more there are."""
    shown = [str(line) for line in lines[:most]]
    return shown + ([f"and {len(lines) - most:,} more"] if len(lines) > most else [])


def _text(value: Value) -> str:
    return f"{value.text} (default)" if value.span is None else value.text
