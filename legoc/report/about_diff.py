"""A comparison: how bad it is, then every spec that changed with its changes, costs and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from legoc.render.lines import counted
from legoc.report.about_spec import problems
from legoc.report.changes import change_list
from legoc.report.drawings import graph_figure, timeline_figure
from legoc.report.html import Html, joined, tag
from legoc.report.parts import Column, Section, anchor, badge, card, cards, code, folded, note, prose, table
from legoc.review.classify import IMPACTS, rank
from legoc.review.compare import Report, Review
from legoc.review.costs import CostRow, Costs
from legoc.review.render.figures import HEAD, cells
from legoc.review.render.pictures import marks
from legoc.review.render.words import ABOUT, LOADING, TITLES, file_name, summary
from legoc.review.sides import Side

MAX_PICTURED = 12
"""Specs that are drawn before and after, the worst first; the others are counted."""

MAX_LISTED = 8
"""Specs that the list of contents leads to; of more, the overview does."""

OPEN_TIMELINES = 2
"""Policies whose timelines are shown at once; those of further ones are folded."""

SUMMED = ("params", "macs", "train", "sample")
"""Figures that stand in the summary, by what `--budget` calls them."""


def lead(report: Report) -> Html:
    """What the whole comparison comes to, in the colour of its worst class; of one spec with its figures."""
    if report.unreadable:
        sides = counted(len(report.unreadable), "side")
        words = f"{sides} cannot be compared, so nothing can be concluded."
        return _verdict("unreadable", "cannot be compared", words, f"{summary(report)}.")
    if report.impact is None:
        return _verdict("none", summary(report))
    alone = _is_alone(report)
    words = _counts(report.reviews[0]) if alone else summary(report)
    figures = _figures(report.reviews[0]) if alone else Html()
    return joined([_verdict(report.impact, TITLES[report.impact], ABOUT[report.impact], f"{words}."), figures])


def _verdict(kind: str, title: str, *lines: str) -> Html:
    parts = (tag("p", line, class_="sub" if i else None) for i, line in enumerate(lines))
    return tag("div", tag("p", title, class_="class"), *parts, class_=f"verdict {kind}")


def _counts(review: Review) -> str:
    """`4 changes: 1 breaks weights, 3 sampling only`."""
    found = Counter(verdict.impact for verdict in review.verdicts)
    words = (f"{found[impact]} {TITLES[impact]}" for impact in reversed(IMPACTS) if found[impact])
    return f"{counted(len(review.verdicts), 'change')}: {', '.join(words)}"


def _is_alone(report: Report) -> bool:
    """Whether the page is of one spec before and after."""
    return len(report.reviews) == 1 and not (report.added or report.removed or report.unreadable)


def diff_sections(report: Report, *, migrate: bool) -> Iterator[Section]:
    """What cannot be read first, then an overview, then each spec, the worst first.

    Args:
        report: the comparison.
        migrate: whether to say the command that carries checkpoints over.
    """
    reviews = sorted(report.reviews, key=lambda review: -rank(review.impact))
    if report.unreadable:
        unread = (joined([tag("h3", s.label), problems(s.diagnostics)]) for s in report.unreadable)
        yield Section("unreadable", "What cannot be compared", joined(unread))
    if len(reviews) > 1:
        yield Section("overview", "Overview", _overview(reviews))
    for number, review in enumerate(reviews, 1):
        head = Html() if _is_alone(report) else _head(review)
        body = _review(review, migrate=migrate, pictures=number <= MAX_PICTURED)
        title = "What changed" if _is_alone(report) else _name(review)
        yield Section(_place(review, number), title, joined([head, *body]), len(reviews) <= MAX_LISTED)
    for side, costs in report.added_costs:
        yield Section(anchor(f"new-{side.path}"), f"New: {side.path}", joined(_added(side, costs)))
    if report.removed:
        gone = (tag("li", code(side.path)) for side in report.removed)
        yield Section("gone", "Gone", tag("ul", *gone))


def _name(review: Review) -> str:
    return file_name(review).replace(" -> ", " → ")


def _titled(text: str) -> str:
    return text[:1].upper() + text[1:]


def _place(review: Review, number: int) -> str:
    return anchor(f"spec-{number}-{review.after.path}")


def _overview(reviews: Sequence[Review]) -> Html:
    heads = ("spec", "class", "checkpoints", "parameters", "a forward pass", "sampling")
    rows = [
        (
            tag("a", _name(review), href=f"#{_place(review, number)}"),
            badge(TITLES[review.impact], review.impact),
            LOADING[review.loading].removeprefix("checkpoints "),
            *(_cell(review, metric) for metric in ("params", "macs", "sample")),
        )
        for number, review in enumerate(reviews, 1)
    ]
    columns = [Column(head, figures=i > 2) for i, head in enumerate(heads)]
    return table("Specs that changed, the worst first", columns, rows)


def _cell(review: Review, metric: str) -> str:
    row = next((row for row in review.costs.rows if row.metric == metric), None)
    if row is None:
        return ""
    _, _, after, change = cells(row)
    return after if change == "=" else f"{after} ({change})"


def _head(review: Review) -> Html:
    sentence = f" {_titled(LOADING[review.loading])}; {_counts(review)}."
    return joined([tag("p", badge(TITLES[review.impact], review.impact), sentence), _figures(review)])


def _figures(review: Review) -> Html:
    return cards([_card(row) for row in review.costs.rows if row.metric in SUMMED])


def _review(review: Review, *, migrate: bool, pictures: bool) -> Iterator[Html]:
    if migrate and review.loading == "migrate":
        yield note(f"Carry a checkpoint over: legoc migrate CHECKPOINT {review.after.path}", "resumable")
    yield change_list(review)
    yield from _costs(review.costs)
    if pictures:
        yield from _pictures(review)
    elif review.costs.refusal is None:
        yield tag("p", "Its pictures are left out: a page of this spec alone has them.", class_="sub")


def _card(row: CostRow) -> Html:
    _, before, after, change = cells(row)
    kind = "" if row.before == row.after or row.change is None else "more" if row.change > 0 else "less"
    return card(_titled(row.name), after, "as before" if change == "=" else f"{change}, was {before}", kind=kind)


def _costs(costs: Costs) -> Iterator[Html]:
    columns = [Column(head or "figure", figures=i > 0) for i, head in enumerate(HEAD)]
    if changed := costs.changed:
        yield tag("h3", "What it costs")
        yield table("Figures that changed", columns, [cells(row) for row in changed])
    if same := [row for row in costs.rows if row.before == row.after]:
        rows = [cells(row) for row in same]
        yield folded(f"{counted(len(same), 'figure')} as before", table("Figures as before", columns, rows))
    if costs.shifts:
        yield tag("h3", "What policies leave out")
        yield tag("ul", *(tag("li", prose(str(shift))) for shift in costs.shifts))
    if costs.refusal is not None:
        yield note(f"No figures: {costs.refusal}.")


def _pictures(review: Review) -> Iterator[Html]:
    if review.costs.refusal is not None:
        return
    before, after = review.before.spec, review.after.spec
    if names := dict.fromkeys(shift.policies for shift in review.costs.shifts):
        yield tag("h3", "Which bricks run at which step")
        pairs = [
            tag("div", timeline_figure(before, was, "Before"), timeline_figure(after, name, "After"), class_="beside")
            for was, name in names
        ]
        yield from pairs[:OPEN_TIMELINES]
        if more := pairs[OPEN_TIMELINES:]:
            yield folded(f"Further policies: {', '.join(name for _, name in [*names][OPEN_TIMELINES:])}", *more)
    if rank(review.impact) >= rank("resumable"):
        old, new = marks(review)
        yield tag("h3", "The stack")
        figures = (graph_figure(before, "Before", old), graph_figure(after, "After", new))
        yield tag("div", *figures, class_="beside")


def _added(side: Side, costs: Costs) -> Iterator[Html]:
    if figures := [row for row in costs.rows if row.metric in SUMMED]:
        yield cards([card(_titled(row.name), cells(row)[2]) for row in figures])
    if costs.refusal is not None:
        yield note(f"No figures: {costs.refusal}.")
    else:
        yield graph_figure(side.spec)
