"""Rules about how a spec trains: parts of a step, a schedule with what it needs, windows that nest, stages."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.drafts import Draft, grid_of
from legoc.spec.load import Loaded
from legoc.spec.resolve import resolve_train
from legoc.spec.sampling import check_policy, check_seeds
from legoc.spec.suggest import close
from legoc_runtime.contract.nesting import first_that_does_not_nest
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import Layout

if TYPE_CHECKING:
    from legoc.spec.written_train import Stage, Train

_PREVIEW_SEEDS = ("train", "preview_seeds")


def check_training(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    """LG213: windows that are to be drawn one inside the other, and do not lie so. LG214: stages that cannot be.

    LG108 for all that contradicts.
    """
    train = loaded.written.train
    if train is None:
        return
    settings = resolve_train(loaded)
    if not any(loaded.is_broken("train", key) for key in ("batch", "accumulate")):
        yield from _parts(loaded, settings)
    if not any(loaded.is_broken("train", key) for key in ("schedule", "decay_images", "warmup_images", "images")):
        yield from _schedule(loaded, settings)
    yield from _previews(loaded, train)
    if train.patches == "nested":
        yield from _nested(loaded, drafts)
    if train.drop is not None and train.drop.policy is not None:
        yield from check_policy(loaded, train.drop.policy, ("train", "drop", "policy"))
        yield from _drop(loaded, drafts, train)
    for index, stage in enumerate(train.stages or []):
        yield from _stage(loaded, drafts, index, stage)


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


def _previews(loaded: Loaded, train: Train) -> Iterator[Diagnostic]:
    """Seeds that are seeds, of a grid that is drawn, of what can be looked at."""
    if train.preview_seeds is not None:
        yield from check_seeds(loaded, train.preview_seeds, _PREVIEW_SEEDS)
    if train.preview_images is None:
        if train.preview_seeds is not None and not loaded.is_broken("train", "preview_images"):
            message = "`preview_seeds` does nothing without `preview_images`"
            help = "say how often: `preview_images: 50k`, or remove it"
            yield report("LG108", message, loaded.span(*_PREVIEW_SEEDS), help=help)
        return
    grid = loaded.written.grid
    decoder = loaded.written.sample.decoder if loaded.written.sample else None
    if grid is not None and grid.channels not in (None, 1, 3) and decoder in (None, "none"):
        message = f"previews are pictures, and this stack makes latents of {grid.channels} channels"
        label = Label(loaded.span("grid", "channels"), "grey pictures have 1 channel, colours 3")
        help = "remove it, or name the VAE that decodes them: `sample: {decoder: ...}`"
        yield report("LG108", message, loaded.span("train", "preview_images"), secondary=[label], help=help)


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


def _stage(loaded: Loaded, drafts: list[Draft], index: int, stage: Stage) -> Iterator[Diagnostic]:
    """One stage: bricks that there are, each once, one of them with a loss; and images that it comes to."""
    place = ("train", "stages", index)
    weights = {draft.id: draft.loss_weight for draft in drafts if draft.id is not None and draft.trains}
    named = stage.train or []
    for i, id in enumerate(named):
        span = loaded.span(*place, "train", i)
        if id in named[:i]:
            yield report("LG214", f"the stage names the brick `{id}` twice", span, help="remove one of them")
        elif id not in weights and not loaded.is_broken("bricks"):
            guess = close(id, list(weights))
            help = f"did you mean `{guess}`?" if guess else f"the bricks are {', '.join(weights)}"
            yield report("LG214", f"the stage trains the brick `{id}`, which the stack does not have", span, help=help)
    if named and not any(weights.get(id, 1) for id in named):
        message = "every brick that the stage trains has a `loss_weight` of 0: nothing would train"
        help = "let it train a brick with a loss, or give one of them a `loss_weight` above 0"
        yield report("LG214", message, loaded.span(*place, "train"), help=help)
    yield from _images(loaded, index, stage)


def _images(loaded: Loaded, index: int, stage: Stage) -> Iterator[Diagnostic]:
    train = loaded.written.train
    stages = (train.stages if train is not None else None) or []
    place = ("train", "stages", index)
    if stage.images is None and index < len(stages) - 1 and not loaded.is_broken(*place, "images"):
        help = "say how many: `images: 2M`; only the last stage takes all that are left"
        yield report("LG214", "a stage before the last one must say its `images`", loaded.tree.head(place), help=help)
    counts = [each.images for each in stages[:index]]
    total = (train.images if train is not None else None) or TrainSettings().images
    before = sum(count for count in counts if count is not None)
    if index and before >= total and None not in counts and not loaded.is_broken("train", "images"):
        message = f"the stage never begins: the stages before it have {before:,} images, and the run has {total:,}"
        written = [Label(loaded.span("train", "images"), "images of the run")] if train and train.images else []
        help = "raise `train: {images: ...}`, or shorten the stages before it"
        yield report("LG214", message, loaded.tree.head(place), secondary=written, help=help)


def _drop(loaded: Loaded, drafts: list[Draft], train: Train) -> Iterator[Diagnostic]:
    """A policy that leaves something out, and a stage in which it acts."""
    ids = {draft.id for draft in drafts if draft.trains}
    if train.drop is not None and train.drop.policy == "none":
        help = "name a policy that leaves a brick out, or remove `drop`"
        span = loaded.span("train", "drop", "policy")
        yield report("LG215", "the policy `none` leaves no brick out: there is nothing to train for", span, help=help)
    elif train.stages and not any(ids <= set(stage.train or []) for stage in train.stages):
        message = "steps leave bricks out where a stage trains every brick, and no stage does"
        place = [Label(loaded.tree.head(("train", "stages")), "the stages")]
        help = f"let a stage train {', '.join(sorted(id for id in ids if id))}, or remove `drop`"
        yield report("LG215", message, loaded.tree.head(("train", "drop")), secondary=place, help=help)
