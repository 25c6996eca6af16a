"""Rules about how a spec trains: parts of a step, a schedule with what it needs, windows that nest."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.drafts import Draft, grid_of
from legoc.spec.load import Loaded
from legoc.spec.resolve import resolve_train
from legoc_runtime.contract.nesting import first_that_does_not_nest
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import Layout


def check_training(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    """LG213: windows that are to be drawn one inside the other, and do not lie so. LG108 for all that contradicts."""
    train = loaded.written.train
    if train is None:
        return
    settings = resolve_train(loaded)
    if not any(loaded.is_broken("train", key) for key in ("batch", "accumulate")):
        yield from _parts(loaded, settings)
    if not any(loaded.is_broken("train", key) for key in ("schedule", "decay_images", "warmup_images", "images")):
        yield from _schedule(loaded, settings)
    if train.patches == "nested":
        yield from _nested(loaded, drafts)


def _parts(loaded: Loaded, settings: TrainSettings) -> Iterator[Diagnostic]:
    if settings.batch % settings.accumulate == 0:
        return
    place = [Label(loaded.span("train", "batch"), f"{settings.batch} images a step")]
    message = f"{settings.accumulate} parts cannot share {settings.batch} images evenly"
    near = next(parts for parts in range(settings.accumulate, 0, -1) if settings.batch % parts == 0)
    span = loaded.span("train", "accumulate")
    written = loaded.tree.has(("train", "batch"))
    yield report("LG108", message, span, secondary=place if written else [], help=f"use {near}")


def _schedule(loaded: Loaded, settings: TrainSettings) -> Iterator[Diagnostic]:
    decay = settings.decay_images
    span, place = loaded.span("train", "decay_images"), loaded.span("train", "schedule")
    match settings.schedule:
        case "constant" if decay is not None:
            message = "`decay_images` does nothing under a constant learning rate"
            yield report("LG108", message, span, help="choose `schedule: cosine` or `inverse_sqrt`, or remove it")
        case "inverse_sqrt" if decay is None:
            message = "`schedule: inverse_sqrt` needs `decay_images`: where the learning rate begins to fall"
            yield report("LG108", message, place, help="add `decay_images: 70M`, for example")
        case "cosine" if decay is not None and decay < settings.images:
            written = loaded.tree.has(("train", "images"))
            here = [Label(loaded.span("train", "images"), "the end of the run")] if written else []
            message = f"the learning rate is 0 from image {decay:,} on, and training ends at {settings.images:,}"
            yield report("LG108", message, span, secondary=here, help="remove it: null stands for the end")
        case "cosine" if settings.warmup_images >= (settings.images if decay is None else decay):
            message = "the warm-up lasts as long as the cosine"
            yield report("LG108", message, place, help="shorten `warmup_images`")
        case _:
            pass


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
