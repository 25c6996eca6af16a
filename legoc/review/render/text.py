"""The format text: every change with its places, its class and its reason, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from legoc.diagnostics import Label
from legoc.render import render_full
from legoc.render.full import render_places
from legoc.render.lines import visible
from legoc.review.changes import values_of
from legoc.review.classify import Verdict
from legoc.review.compare import Report, Review
from legoc.review.render.figures import aligned
from legoc.review.render.words import described, file_name, headline, summary, symbol, tensor_lines
from legoc.review.rules import Impact

SHOWN_TENSORS = 4

_COLOURS: dict[Impact, str] = {
    "cosmetic": "2",
    "sampling": "36",
    "training": "36",
    "resumable": "32",
    "meaning": "1;33",
    "breaks": "1;31",
}
_BOLD = "1"


def render_text(report: Report, *, colour: bool = False, migrate: bool = False) -> str:
    """The report for the terminal.

    Args:
        report: what was found.
        colour: whether the terminal shows colours.
        migrate: whether to say the command that carries checkpoints over.
    """
    painter = _Painter(colour, migrate)
    parts = ["\n".join(painter.review(review)) for review in report.reviews]
    parts += [f"{painter.style(f'+ {side.label}', _BOLD)}: a new spec" for side in report.added]
    parts += [f"{painter.style(f'- {side.label}', _BOLD)}: the spec is gone" for side in report.removed]
    for side in report.unreadable:
        parts.append(
            f"{painter.style(f'! {visible(side.label)}', _COLOURS['breaks'])}: cannot be compared\n\n"
            + render_full(side.diagnostics, colour=colour).rstrip("\n")
        )
    return "\n\n".join([*parts, summary(report)]) + "\n"


def render_breaks(review: Review, *, colour: bool = False) -> str:
    """Why a checkpoint cannot be carried over: the changes that break it alone, each with all of its tensors."""
    painter = _Painter(colour, migrate=False)
    lines = [painter.style(visible(file_name(review)), _BOLD), painter.style(headline(review), _COLOURS["breaks"])]
    for verdict in review.verdicts:
        if verdict.impact == "breaks":
            lines += ["", *painter.verdict(review, verdict, most=len(verdict.tensors))]
    return "\n".join(lines) + "\n"


class _Painter:
    def __init__(self, colour: bool, migrate: bool) -> None:
        self.colour, self.migrate = colour, migrate

    def style(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def review(self, review: Review) -> Iterator[str]:
        yield self.style(visible(file_name(review)), _BOLD)
        yield self.style(headline(review), _COLOURS[review.impact])
        for verdict in review.verdicts:
            yield ""
            yield from self.verdict(review, verdict)
        costs = review.costs
        if costs.changed:
            yield from ("", *aligned(costs.changed))
        if costs.shifts:
            yield from ("", *map(str, costs.shifts))
        if costs.refusal is not None:
            yield from ("", f"cost: {costs.refusal}")
        if self.migrate and review.loading == "migrate":
            yield ""
            yield f"carry a checkpoint over with `legoc migrate CHECKPOINT {review.after.path}`"

    def verdict(self, review: Review, verdict: Verdict, most: int = SHOWN_TENSORS) -> Iterator[str]:
        mark = self.style(f"{symbol(verdict.change)} {verdict.impact:<9}", _COLOURS[verdict.impact])
        yield f"{mark}  {self.style(visible(described(verdict.change)), _BOLD)}"
        if labels := _labels(review, verdict):
            yield from render_places(labels, colour=self.colour)
        yield f"  = {verdict.reason}"
        if verdict.impact in ("breaks", "meaning"):
            yield from (f"    {line}" for line in tensor_lines(verdict.tensors, most))


def _labels(review: Review, verdict: Verdict) -> list[Label]:
    """Where the values were written, the new one first."""
    before, after = values_of(verdict.change)
    labels: list[Label] = []
    if after is not None and after.span is not None:
        labels.append(Label(review.after.shown(after.span), "now" if before is not None else "new"))
    if before is not None and before.span is not None:
        labels.append(Label(review.before.shown(before.span), "was" if after is not None else "gone"))
    return labels
