"""Rules between values: geometry, names, and sections that contradict each other.

No rule speaks of a value that is missing or broken: that has its diagnostic already.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, isqrt, lcm

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.drafts import Draft, grid_of
from legoc.spec.load import Loaded


def check_rules(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    """All findings of all rules: LG108 to LG110 and LG201 to LG208."""
    yield from _averages(loaded)
    yield from _labels(loaded)
    yield from _ids(loaded, drafts)
    for draft in drafts:
        if draft.is_pretrained:
            continue  # its numbers are those of its model
        yield from _size(loaded, draft)
        yield from _receptive_field(loaded, draft)
        yield from _width(loaded, draft)
        yield from _heads(loaded, draft)
        yield from _train_patches(loaded, draft)
        yield from _offset(loaded, draft)
    yield from _losses(loaded, drafts)


def divisors(number: int) -> list[int]:
    """The divisors of a positive number, in order."""
    low = [candidate for candidate in range(1, isqrt(number) + 1) if number % candidate == 0]
    return sorted({*low, *(number // candidate for candidate in low)})


def nearest(wanted: int, candidates: list[int]) -> str:
    """The one or two candidates around a number, in words."""
    below = [candidate for candidate in candidates if candidate < wanted][-1:]
    above = [candidate for candidate in candidates if candidate > wanted][:1]
    return " or ".join(str(candidate) for candidate in below + above)


def _averages(loaded: Loaded) -> Iterator[Diagnostic]:
    rates = (loaded.written.train.ema if loaded.written.train else None) or []
    for i, rate in enumerate(rates):
        if rate in rates[:i]:
            first = Label(loaded.span("train", "ema", rates.index(rate)), "first written here")
            message = f"the average with rate {rate:g} is asked for twice"
            yield report("LG108", message, loaded.span("train", "ema", i), secondary=[first], help="remove one of them")
    widths = (loaded.written.train.ema_profiles if loaded.written.train else None) or []
    if len(set(widths)) < len(widths):
        message = "an average with one profile is asked for twice"
        yield report("LG108", message, loaded.span("train", "ema_profiles"), help="remove one of them")


def _labels(loaded: Loaded) -> Iterator[Diagnostic]:
    conditioning, sample = loaded.written.conditioning, loaded.written.sample
    if conditioning is None or conditioning.classes is not None or loaded.is_broken("conditioning", "classes"):
        return
    place = [Label(loaded.span("conditioning", "classes"), "the stack is unconditional")]
    if conditioning.label_dropout:
        message = "`label_dropout` has no effect without classes"
        span = loaded.span("conditioning", "label_dropout")
        yield report("LG109", message, span, secondary=place, help="remove it")
    if sample and sample.guidance is not None and sample.guidance != 1:
        message = f"guidance {sample.guidance:g} needs classes: it contrasts a label with the null label"
        span = loaded.span("sample", "guidance")
        yield report("LG110", message, span, secondary=place, help="remove it, or write `guidance: 1`")


def _ids(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    first: dict[str, int] = {}
    for draft in drafts:
        if draft.id is None:
            continue
        if draft.id in first:
            place = [Label(loaded.span("bricks", first[draft.id], "id"), "first defined here")]
            span = loaded.span("bricks", draft.index, "id")
            help = "ids name weights: give this brick its own"
            yield report("LG204", f"two bricks are called `{draft.id}`", span, "again here", secondary=place, help=help)
        first.setdefault(draft.id, draft.index)


def _size(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    grid = grid_of(loaded)
    if grid is None or draft.window is None or draft.covers_grid:
        return
    sides = zip(("height", "width"), ("high", "wide"), draft.window, grid, strict=True)
    wrong = [(key, word, total) for key, word, side, total in sides if total % side]
    if not wrong:
        return
    secondary = [Label(loaded.span("grid", key), f"the grid is {total} {word} here") for key, word, total in wrong]
    size = _times(draft.window)
    fits = [
        side for side in divisors(gcd(*grid)) if side % (draft.receptive_field or 1) == 0 or "size" not in draft.places
    ]
    near = nearest(min(draft.window), fits) or nearest(min(draft.window), divisors(gcd(*grid)))
    message = f"{draft.name} is {size}, which does not divide the {_times(grid)} grid"
    help = f"use {near}, or `image` for the whole grid" if near else "use `image` for the whole grid"
    label = (
        f"{' and '.join(str(total) for _, _, total in wrong)} {'is' if len(wrong) == 1 else 'are'} no multiple of this"
    )
    yield report("LG201", message, draft.span(loaded, "size"), label, secondary=secondary, help=help)


def _times(sides: tuple[int, int]) -> str:
    return f"{sides[0]}x{sides[1]}"


def _receptive_field(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    window, field = draft.window, draft.receptive_field
    if window is None:
        return
    own = ("bricks", draft.index, "receptive_field")
    fits = divisors(gcd(*window))
    if field is None:
        is_default = not loaded.is_broken(*own) and not loaded.is_broken("brick_defaults", "receptive_field")
        grid = grid_of(loaded)
        cuts_grid = grid is not None and all(total % side == 0 for total, side in zip(grid, window, strict=True))
        if draft.covers_grid is False and is_default and cuts_grid:  # else the size is the one thing to change
            message = f"{draft.name} needs a `receptive_field`: half of its size {min(window)} is not a whole number"
            help = f"add `receptive_field`: one of {', '.join(map(str, fits))}"
            yield report("LG202", message, draft.span(loaded, "size"), help=help)
        return
    if all(side % field == 0 for side in window):
        return
    secondary: list[Label] = []
    if "receptive_field" not in draft.places:
        span, word = draft.span(loaded, "size"), f"the default receptive field {field}"
    elif draft.places["receptive_field"] == own:
        span, word = loaded.span(*own), f"a receptive field of {field}"
        secondary.append(Label(draft.span(loaded, "size"), f"its windows are {_times(window)}"))
    else:
        span, word = draft.span(loaded, "size"), f"a receptive field of {field}"
        secondary.append(Label(draft.span(loaded, "receptive_field"), "taken from here"))
    message = f"{word} does not divide the {_times(window)} windows of {draft.name}"
    near = nearest(field, fits)
    yield report("LG202", message, span, secondary=secondary, help=f"use {near}" if near else None)


def _width(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    if draft.width is None or draft.width % 4 == 0:
        return
    message = f"four does not divide the width {draft.width}"
    step = lcm(4, draft.heads or 1)
    near = [width for width in (draft.width // step * step, draft.width // step * step + step) if width]
    help = f"use {' or '.join(map(str, near))}: positions are sines and cosines of rows and of columns"
    yield report("LG205", message, draft.span(loaded, "width"), help=help)


def _heads(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    if draft.heads is None or draft.width is None or draft.width % draft.heads == 0 or draft.width % 4:
        return  # a width that must change anyway is one finding
    heads_at, width_at = draft.places["heads"], draft.places["width"]
    of = f" of {draft.name}" if "bricks" in (heads_at[0], width_at[0]) else ""
    message = f"{draft.heads} heads do not divide the width {draft.width}{of}"
    span, other = loaded.span(*heads_at), Label(loaded.span(*width_at), f"the width is {draft.width}")
    if heads_at[0] != "bricks" and width_at[0] == "bricks":
        span, other = loaded.span(*width_at), Label(span, f"{draft.heads} heads come from here")
    help = f"use {nearest(draft.heads, divisors(draft.width))} heads"
    yield report("LG203", message, span, secondary=[other], help=help)


def _train_patches(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    if draft.covers_grid and draft.train_patches < 1:
        message = f"{draft.name} is an image-brick: it trains its one window, not {draft.train_patches:g} of it"
        place = [Label(draft.span(loaded, "size"), "the window is the whole grid")] if "size" in draft.places else []
        span = loaded.span("bricks", draft.index, "train_patches")
        yield report("LG206", message, span, secondary=place, help="remove `train_patches` here")


def _offset(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    """Windows move by less than themselves; an image-brick has no seams between windows, but between tokens."""
    if draft.window is None or loaded.is_broken("bricks", draft.index, "offset"):
        return
    field = draft.receptive_field
    if draft.covers_grid and field is not None:
        bound, what = (field, field), f"tokens of {_times((field, field))}"
    else:
        bound, what = draft.window, f"windows of {_times(draft.window)}"
    if draft.covers_grid is None or all(side < most for side, most in zip(draft.offset, bound, strict=True)):
        return
    inside = tuple(side % most for side, most in zip(draft.offset, bound, strict=True))
    message = f"{draft.name} is shifted by {_times(draft.offset)}, which its {what} do not allow"
    key = "receptive_field" if draft.covers_grid and "receptive_field" in draft.places else "size"
    place = [Label(draft.span(loaded, key), f"{what} come from here")] if key in draft.places else []
    if draft.covers_grid:
        help = f"an image-brick has one window: only the seams of its tokens can move, as by {_short(inside)}"
    else:
        help = f"`offset: {_short(inside)}` gives the same seams"
    yield report("LG208", message, draft.span(loaded, "offset"), secondary=place, help=help)


def _short(sides: tuple[int, ...]) -> str:
    return str(sides[0]) if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"


def _losses(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    drafts = [draft for draft in drafts if not draft.is_pretrained or draft.loss_weight]
    sound = bool(drafts) and not any(
        loaded.is_broken("bricks", d.index, "loss_weight") or loaded.is_broken("brick_defaults", "loss_weight")
        for d in drafts
    )
    if sound and all(draft.loss_weight == 0 for draft in drafts):
        help = "give one brick a `loss_weight` above 0"
        yield report(
            "LG207",
            "every `loss_weight` is 0: nothing would train",
            drafts[-1].span(loaded, "loss_weight"),
            help=help,
        )
