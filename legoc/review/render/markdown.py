"""The format markdown: what a reviewer reads in a pull request. Always short enough for a comment."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from legoc.render.lines import visible
from legoc.review.changes import values_of
from legoc.review.classify import Verdict, rank
from legoc.review.compare import Report, Review
from legoc.review.render.figures import HEAD, cells
from legoc.review.render.pictures import graphs, timelines
from legoc.review.render.words import LOADING, TITLES, described, file_name, summary, symbol, tensor_lines

MARKER = "<!-- legoc-diff -->"
"""Tells the comment that is to be updated from others."""

MAX_CHARACTERS = 60_000
"""GitHub takes comments of up to 65,536 characters."""

SHOWN_ROWS, SHOWN_TENSORS, SHOWN_DIAGNOSTICS = 100, 12, 10
_ROOM_FOR_WORDS = 400

_SIGNS = {"cosmetic": "⚪", "sampling": "🔵", "training": "🔵", "resumable": "🟢", "meaning": "🟠", "breaks": "🔴"}
_TICKS = re.compile("`+")


def render_markdown(
    report: Report, *, migrate: bool = False, most: int = MAX_CHARACTERS, told: Collection[str] = ()
) -> str:
    """The report as a comment of at most so many characters.

    Where all does not fit, pictures are left out first, then the details of specs, from the least important on; of
    how many is said. What cannot be compared always stands first.

    Args:
        report: what was found.
        migrate: whether to say the command that carries checkpoints over.
        most: characters that there is room for.
        told: labels of sides that cannot be compared and whose errors stand elsewhere, under "legoc check".
    """
    head = "\n\n".join(_head(report, told)) + "\n"
    reviews = sorted(report.reviews, key=lambda review: -rank(review.impact))
    if not reviews:
        return _cut(head, most)
    parts = [_cut(head, most - _ROOM_FOR_WORDS)]
    left = most - len(parts[0]) - _ROOM_FOR_WORDS
    for review in reviews:
        part = _section(review, migrate, pictures=False)
        if len(part) + 1 > left:
            break
        parts.append(part)
        left -= len(part) + 1
    without = 0
    for number, review in enumerate(reviews[: len(parts) - 1], 1):
        part = _section(review, migrate, pictures=True)
        if (more := len(part) - len(parts[number])) <= left:
            parts[number] = part
            left -= more
        else:
            without += 1
    if shown := len(reviews) - len(parts) + 1:
        parts.append(f"Details of {shown} of {len(reviews)} specs are left out: run `legoc diff` for them.\n")
    if without:
        parts.append(f"Pictures of {without} specs are left out: `legoc graph` and `legoc timeline` draw them.\n")
    return "\n".join(parts)


def code(text: str) -> str:
    """A text as a code span that nothing in it ends, fit for a cell of a table."""
    plain = visible(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(ticks) for ticks in _TICKS.findall(plain)), default=0))
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}" if plain else ""


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    words = "\n\nThe rest is left out: run `legoc diff` for it.\n"
    return text[: most - len(words)].rsplit("\n", 1)[0] + words


def _head(report: Report, told: Collection[str]) -> Iterator[str]:
    yield MARKER
    yield f"### legoc diff: {code(report.before)} → {code(report.after)}"
    if report.unreadable:
        yield "🔴 **Something cannot be compared, so nothing can be concluded.**"
        unchecked = [code(side.label) for side in report.unreadable if side.label in told]
        if unchecked:
            more = f" and {len(unchecked) - SHOWN_DIAGNOSTICS} more" if len(unchecked) > SHOWN_DIAGNOSTICS else ""
            yield f"Because of errors that stand below: {', '.join(unchecked[:SHOWN_DIAGNOSTICS])}{more}"
        others = [side for side in report.unreadable if side.label not in told]
        for side in others[:SHOWN_DIAGNOSTICS]:
            yield f"{code(side.label)} cannot be read:"
            found = side.diagnostics[:SHOWN_DIAGNOSTICS]
            yield "\n".join(
                f"- {d.code} {code(str(d.primary.span)) if d.primary else ''} {code(d.message[:500])}" for d in found
            )
        if len(others) > SHOWN_DIAGNOSTICS:
            yield f"and {len(others) - SHOWN_DIAGNOSTICS} more."
    yield f"**{summary(report)[0].upper()}{summary(report)[1:]}.**"
    if report.reviews:
        yield "\n".join(_overview(report))
    for sides, words in ((report.added, "New"), (report.removed, "Gone")):
        if sides:
            more = f" and {len(sides) - SHOWN_ROWS} more" if len(sides) > SHOWN_ROWS else ""
            yield f"{words}: {', '.join(code(side.path) for side in sides[:SHOWN_ROWS])}{more}"


def _overview(report: Report) -> Iterator[str]:
    yield "| spec | class | checkpoints | parameters | a forward pass | sampling |"
    yield "|---|---|---|---:|---:|---:|"
    reviews = sorted(report.reviews, key=lambda review: -rank(review.impact))
    for review in reviews[:SHOWN_ROWS]:
        figures = " | ".join(_figure(review, metric) for metric in ("params", "macs", "sample"))
        impact = f"{_SIGNS[review.impact]} {TITLES[review.impact]}"
        loading = LOADING[review.loading].removeprefix("checkpoints ")
        yield f"| {code(file_name(review))} | {impact} | {loading} | {figures} |"
    if len(reviews) > SHOWN_ROWS:
        yield f"| and {len(reviews) - SHOWN_ROWS} more | | | | | |"


def _figure(review: Review, metric: str) -> str:
    row = next((row for row in review.costs.rows if row.metric == metric), None)
    if row is None:
        return ""
    _, _, after, change = cells(row)
    return after if change == "=" else f"{after} ({change})"


def _section(review: Review, migrate: bool, *, pictures: bool) -> str:
    """The details of one spec."""
    title = f"{_SIGNS[review.impact]} <b>{_html(file_name(review))}</b>: {TITLES[review.impact]}"
    parts = [f"<details><summary>{title}</summary>", "\n".join(_changes(review)), *_tensors(review), *_costs(review)]
    if migrate and review.loading == "migrate":
        parts.append(f"Carry a checkpoint over: {code(f'legoc migrate CHECKPOINT {review.after.path}')}")
    if pictures:
        parts += [*graphs(review), *timelines(review)]
    return "\n\n".join([*parts, "</details>\n"])


def _html(text: str) -> str:
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _changes(review: Review) -> Iterator[str]:
    yield "| | change | class | why |"
    yield "|---|---|---|---|"
    for verdict in review.verdicts[:SHOWN_ROWS]:
        change = code(described(verdict.change)[:500])
        why = f"{_why(verdict)}{_elsewhere(review, verdict)}"
        yield f"| {symbol(verdict.change)} | {change} | {TITLES[verdict.impact]} | {why} |"
    if len(review.verdicts) > SHOWN_ROWS:
        yield f"| | and {len(review.verdicts) - SHOWN_ROWS} more | | |"


def _why(verdict: Verdict) -> str:
    return verdict.reason.replace("|", "\\|")


def _elsewhere(review: Review, verdict: Verdict) -> str:
    """Where a change was made that is not in the spec itself: who reads the spec alone would not find it."""
    for value, side in zip(reversed(values_of(verdict.change)), (review.after, review.before), strict=True):
        if value is not None and value.span is not None:
            is_own = value.span.file.name == side.path
            return "" if is_own else f"; in {code(f'{value.span.file.name}:{value.span.line}')}"
    return ""


def _tensors(review: Review) -> Iterator[str]:
    moves = review.plan.lost
    if moves:
        lines = "\n".join(tensor_lines(moves, SHOWN_TENSORS))
        yield f"<details><summary>{len(moves)} tensors break</summary>\n\n```text\n{lines}\n```\n\n</details>"


def _costs(review: Review) -> Iterator[str]:
    costs = review.costs
    if costs.changed:
        rows = [f"| {' | '.join(cells(row))} |" for row in costs.changed]
        yield "\n".join([f"| {' | '.join(HEAD)} |", "|---|---:|---:|---:|", *rows])
    if costs.shifts:
        yield "\n".join(f"- {shift}" for shift in costs.shifts)
    if costs.refusal is not None:
        yield f"No figures: {code(costs.refusal)}"
