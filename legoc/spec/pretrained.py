"""Rules about a brick that is a pretrained model: where it stands, which keys it has, whether its model fits."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.diffusion import check_diffusion, kind_of, resolve_diffusion
from legoc.spec.drafts import Draft, frozen, grid_of
from legoc.spec.language import sections
from legoc.spec.load import Loaded
from legoc.spec.resolved import Path
from legoc_runtime.contract.settings import PretrainedSettings
from legoc_runtime.contract.stack import DdpmConstants

if TYPE_CHECKING:
    from legoc.spec.model_files import ModelFacts
    from legoc.spec.written import Pretrained

GROUP = "legoc.pretrained"
"""The group of entry points that open models: `legoc_runtime.pretrained` calls them."""

TOLERANCE = 0.01
"""How far, as a share, the spec's noise levels may reach past those that a model was trained for."""

_CONVERTIBLE = ("x0", "sample", "epsilon", "v_prediction")
"""Predictions that an estimate of the clean image follows from: all linear in it and the noisy image."""

_OWN_KEYS = ("id", "pretrained", "skip")


def check_pretrained(loaded: Loaded, drafts: list[Draft]) -> Iterator[Diagnostic]:
    """LG209 to LG212 for every pretrained brick; LG108 for one that is to be shared out."""
    for draft in drafts:
        if draft.is_pretrained and not loaded.is_broken("bricks", draft.index, "pretrained"):
            yield from _place(loaded, draft, drafts)
            yield from _keys(loaded, draft)
            yield from _model(loaded, draft)
            yield from _shared_out(loaded, draft)


def _place(loaded: Loaded, draft: Draft, drafts: list[Draft]) -> Iterator[Diagnostic]:
    """LG209 for a second model, or one alone; LG210 for what only a model above others has."""
    at = ("bricks", draft.index, "pretrained")
    first = next(other for other in drafts if other.is_pretrained)
    if first is not draft:
        message = f"{draft.name} is a second pretrained model, and a stack has one"
        place = [Label(loaded.tree.head(("bricks", first.index, "pretrained")), f"{first.name} is the first")]
        help = "keep one: a stack can be trained on the first, and its run be the model of another (`kind: stack`)"
        yield report("LG209", message, loaded.tree.head(at), secondary=place, help=help)
    elif len(drafts) == 1:
        message = f"{draft.name} is the only brick, and a pretrained model"
        help = "add a brick of your own: that is what legoc makes"
        yield report("LG209", message, loaded.tree.head(at), help=help)
    if draft.index == 0 and loaded.tree.has((*at, "noise_scale")) and not loaded.is_broken(*at, "noise_scale"):
        message = f"{draft.name} is the bottom brick, which denoises all of the noise: `noise_scale` says nothing"
        help = "remove it, or put the brick above another"
        yield report("LG210", message, loaded.span(*at, "noise_scale"), help=help)


def _shared_out(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    """Training refuses it as soon as there are several processes, and one alone shares nothing out."""
    train = loaded.written.train
    if train is None or train.sharding != "fsdp2":
        return
    message = f"{draft.name} is a pretrained model, which `sharding: fsdp2` cannot share out"
    place = [Label(loaded.tree.head(("bricks", draft.index, "pretrained")), "it is pretrained")]
    span = loaded.span("train", "sharding")
    yield report("LG108", message, span, secondary=place, help="write `sharding: none`, or remove it")


def _keys(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    brick = (loaded.written.bricks or [])[draft.index]
    own = _OWN_KEYS if frozen(brick) else (*_OWN_KEYS, "loss_weight")
    for key in sections()["bricks", "*"].keys:
        path = ("bricks", draft.index, key)
        if key in own or not loaded.tree.has(path) or loaded.is_broken(*path):
            continue
        message = f"{draft.name} is a pretrained model and has no `{key}`"
        help = "remove it: the model's own files say what it is"
        if key == "loss_weight":
            message, help = f"{draft.name} is frozen and has no loss", "remove it, or write `frozen: false`"
        place = [Label(loaded.tree.head(("bricks", draft.index, "pretrained")), "it is pretrained")]
        yield report("LG210", message, loaded.tree.key(path) or loaded.span(*path), secondary=place, help=help)


def _model(loaded: Loaded, draft: Draft) -> Iterator[Diagnostic]:
    # specs without such a brick, nearly all, need not import what reads manifests
    from legoc.spec.model_files import UnreadableModelError, read_model

    brick = (loaded.written.bricks or [])[draft.index]
    written, at = brick.pretrained, ("bricks", draft.index, "pretrained", "path")
    if written is None or written.kind is None or written.path is None:
        return
    yield from _entry_point(loaded, draft, written)
    if written.heads is not None and written.kind != "dit":
        message = f"the model of {draft.name} is no DiT by its public code's names: `heads` says nothing"
        place = loaded.span("bricks", draft.index, "pretrained", "heads")
        yield report("LG210", message, place, help="remove it: the model's own files say what it is")
    try:
        facts = read_model(PretrainedSettings(written.kind, written.path, frozen(brick), heads=written.heads))
    except UnreadableModelError as error:
        yield report("LG211", f"the model of {draft.name}: {error}", loaded.span(*at), help=error.help)
        return
    if facts is None:
        return  # a module says what it is once it is opened: when it is built
    yield from _image(loaded, draft, facts, at)
    yield from _classes(loaded, draft, facts, at, has_table=written.kind == "diffusers_unet")
    if facts.predicts not in _CONVERTIBLE:
        message = f"the model of {draft.name} predicts `{facts.predicts}`, which gives no estimate of the clean image"
        yield report("LG212", message, loaded.span(*at), help=f"it must predict {', '.join(_CONVERTIBLE[1:])}")
    else:
        yield from _noise(loaded, draft, facts, at)


def _entry_point(loaded: Loaded, draft: Draft, written: Pretrained) -> Iterator[Diagnostic]:
    """A module has the name of an entry point that is installed, and nothing else has one. Imports no package."""
    at = ("bricks", draft.index, "pretrained")
    if written.kind != "module":
        if written.name is not None:
            message = f"the model of {draft.name} is no module: `name` says nothing"
            yield report("LG210", message, loaded.span(*at, "name"), help="remove it, or write `kind: module`")
        return
    known = sorted({point.name for point in entry_points(group=GROUP)})
    there = f"there are {', '.join(known)}" if known else f"install a package that has one in the group `{GROUP}`"
    if written.name is None:
        if not loaded.is_broken(*at, "name"):
            message = f"the model of {draft.name} is a module without the `name` of its entry point"
            yield report("LG102", message, loaded.tree.head(at), help=there)
    elif written.name not in known:
        message = (
            f"no installed package has an entry point `{written.name}`, which is to open the model of {draft.name}"
        )
        yield report("LG211", message, loaded.span(*at, "name"), help=there)


def _image(loaded: Loaded, draft: Draft, facts: ModelFacts, at: Path) -> Iterator[Diagnostic]:
    channels = loaded.written.grid.channels if loaded.written.grid else None
    if channels is not None and channels != facts.channels:
        message = f"the model of {draft.name} has {facts.channels} channels, the grid has {channels}"
        place = [Label(loaded.span("grid", "channels"), f"{channels} channels")]
        help = f"{facts.source} says so: use another model, or `channels: {facts.channels}`"
        yield report("LG212", message, loaded.span(*at), secondary=place, help=help)
    grid = grid_of(loaded)
    if grid is not None and facts.size is not None and grid != facts.size:
        message = f"the model of {draft.name} is for {_times(facts.size)} images, the grid is {_times(grid)}"
        place = [Label(loaded.tree.head(("grid",)), f"the grid is {_times(grid)}")]
        help = f"{facts.source} says so: use another model, or a grid of {_times(facts.size)}"
        yield report("LG212", message, loaded.span(*at), secondary=place, help=help)


def _classes(loaded: Loaded, draft: Draft, facts: ModelFacts, at: Path, *, has_table: bool) -> Iterator[Diagnostic]:
    """`has_table`: whether its null label is a row like any other, which a model may have been trained without."""
    conditioning = loaded.written.conditioning
    if facts.classes is None or conditioning is None or loaded.is_broken("conditioning", "classes"):
        return  # a model without classes fits every stack
    if has_table and conditioning.classes == facts.classes + 1:
        message = (
            f"the model of {draft.name} embeds {conditioning.classes:,} labels, one a class: none is left for the "
            "null label, which training and guidance need"
        )
        place = [Label(loaded.span("conditioning", "classes"), "and a null label beside them")]
        help = "take one whose last label is the null label, or open it by an entry point of your own (`kind: module`)"
        yield report("LG212", message, loaded.span(*at), secondary=place, help=help)
    elif conditioning.classes != facts.classes:
        have = "none" if conditioning.classes is None else f"{conditioning.classes:,}"
        message = f"the model of {draft.name} has {facts.classes:,} classes, the stack has {have}"
        place = [Label(loaded.span("conditioning", "classes"), "the classes of the stack")]
        help = f"{facts.source} says so: use another model, or `classes: {facts.classes}`"
        yield report("LG212", message, loaded.span(*at), secondary=place, help=help)


def _noise(loaded: Loaded, draft: Draft, facts: ModelFacts, at: Path) -> Iterator[Diagnostic]:
    if kind_of(loaded) is None or any(place[0] == "diffusion" for place in loaded.broken if place):
        return
    if any(check_diffusion(loaded)):
        return  # a schedule that does not exist is one finding
    from legoc.spec.model_files import sigma_range

    diffusion = resolve_diffusion(loaded)
    (low, high), (model_low, model_high) = sigma_range(diffusion), facts.sigmas
    below, above = low < model_low * (1 - TOLERANCE), high > model_high * (1 + TOLERANCE)
    if not below and not above:
        return
    message = (
        f"sampling goes over noise levels {_sigma(low)} to {_sigma(high)}; the model of {draft.name} "
        f"was trained for {_sigma(model_low)} to {_sigma(model_high)}"
    )
    if isinstance(diffusion, DdpmConstants):
        help = "give the diffusion the constants that the model was trained with"
    else:
        bounds = [f"sigma_min: {model_low:.3g}"] * below + [f"sigma_max: {model_high:.3g}"] * above
        help = f"write `diffusion: {{kind: edm, {', '.join(bounds)}}}`"
    place = [Label(loaded.tree.head(("diffusion",)), "the schedule comes from here")]
    secondary = place if loaded.tree.has(("diffusion",)) else []
    yield report("LG212", message, loaded.span(*at), secondary=secondary, help=help)


def _sigma(sigma: float) -> str:
    return f"{sigma:.3g}"


def _times(sides: tuple[int, int]) -> str:
    return f"{sides[0]}x{sides[1]}"
