"""Diagnostics as data: what is wrong, where, and what to do. Rendering is `legoc.render`'s business.

takes: spans
gives: Diagnostic, Edit, SpecError
may import: `legoc.source`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from legoc.source import Span

Severity = Literal["error", "warning"]


class Label(NamedTuple):
    """A span with a word on it."""

    span: Span
    text: str = ""


class Edit(NamedTuple):
    """A change of a file: `text` stands where `span` stood. An empty span inserts, an empty text removes."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One problem.

    Attributes:
        code: stable code, e.g. `LG201`; `legoc explain CODE` prints its page.
        severity: `error` stops the command, `warning` does not.
        message: one terse sentence.
        primary: where the problem is; None only when there is no text to point into.
        secondary: other places that belong to it ("first defined here").
        help: what to do, or None.
        fix: the edits that mend it, where they are certain to be what was meant; `legoc check --fix` makes them.
    """

    code: str
    severity: Severity
    message: str
    primary: Label | None
    secondary: tuple[Label, ...] = ()
    help: str | None = None
    fix: tuple[Edit, ...] | None = None


class SpecError(Exception):
    """A spec that does not check, with every diagnostic found."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("; ".join(f"{d.code} {d.message}" for d in diagnostics))
        self.diagnostics = tuple(diagnostics)
