"""Rules about how a spec trains: windows that nest."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.drafts import Draft, grid_of
from legoc.spec.load import Loaded
from legoc_runtime.contract.nesting import first_that_does_not_nest
from legoc_runtime.contract.stack import Layout


def check_training(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    """LG213: windows that are to be drawn one inside the other, and do not lie so."""
    train = loaded.written.train
    if train is not None and train.patches == "nested":
        yield from _nested(loaded, drafts)


def _nested(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    grid = grid_of(loaded)
    sampled: dict[Layout, Draft] = {}
    for draft in drafts:
        if draft.is_pretrained or draft.window is None or grid is None:
            continue
        count = prod(total // side for total, side in zip(grid, draft.window, strict=True))
        if max(1, round(count * draft.train_patches)) < count:
            sampled.setdefault(Layout(draft.window, draft.receptive_field or 1, draft.offset), draft)
    if pair := first_that_does_not_nest(list(sampled)):
        inner, outer = (sampled[layout] for layout in pair)
        message = f"the windows of {inner.name} do not lie inside those of {outer.name}"
        places = [
            Label(draft.span(loaded, "size"), f"its windows are {layout.window[0]}x{layout.window[1]}")
            for draft, layout in zip((inner, outer), pair, strict=True)
        ]
        help = "write `patches: independent`, or give bricks sizes that divide each other, with offsets that do as well"
        yield report("LG213", message, loaded.span("train", "patches"), secondary=places, help=help)
