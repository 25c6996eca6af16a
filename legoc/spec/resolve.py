"""The written model to the resolved spec: every default filled in. Runs only on specs without errors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from legoc.spec.diffusion import kind_of, resolve_diffusion
from legoc.spec.drafts import Draft, grid_of
from legoc.spec.dropping import resolve_drop
from legoc.spec.load import Loaded
from legoc.spec.policies import Predicates
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.samplers import samplers_of
from legoc_runtime.contract.settings import (
    GRID,
    OF_CANVASES,
    PretrainedSettings,
    Region,
    SampleSettings,
    Stage,
    TrainSettings,
)
from legoc_runtime.contract.stack import (
    BrickShape,
    DdpmConstants,
    Prediction,
    PretrainedShape,
    StackShape,
    weight_shapes,
)

if TYPE_CHECKING:
    from legoc.spec.written import Section
    from legoc.spec.written_sample import Region as WrittenRegion

DEFAULT_LABEL_DROPOUT = 0.1
DEFAULT_NOISE_SCALE = 0.5


def resolve_sample(loaded: Loaded) -> SampleSettings:
    """The `sample:` section; sampler and skip policy are the diffusion's and the bricks' own where none is written."""
    written, grid = loaded.written.sample, grid_of(loaded)
    chosen = _chosen(written, leave_out=("regions",))
    if written is not None and written.regions:
        chosen["regions"] = tuple(resolve_region(region) for region in written.regions)
    if chosen.get("size", GRID) == GRID:
        for key in OF_CANVASES:
            chosen.pop(key, None)  # of a base, whose canvas is taken back
    elif grid is not None:
        from legoc_runtime.contract.canvas_request import default_stride  # most specs have no canvas

        chosen.setdefault("stride", default_stride(grid))
    chosen.setdefault("sampler", samplers_of(kind_of(loaded) or "edm")[0])
    skips = any(brick.skip is not None for brick in loaded.written.bricks or [])
    chosen.setdefault("skip_policy", "default" if skips else "none")
    return SampleSettings(**chosen)


def resolve_region(region: WrittenRegion) -> Region:
    """A region of a canvas; what is broken of it is empty."""
    left, top, right, bottom = region.box or (0, 0, 0, 0)
    return Region(region.label or 0, left, top, right, bottom)


def resolve_train(loaded: Loaded) -> TrainSettings:
    """The `train:` section, but for stages and what is left out, which only a spec without errors has."""
    written = loaded.written.train
    chosen = _chosen(written, leave_out=("optimizer", "stages", "drop"))
    optimizer = _chosen(written.optimizer if written else None, leave_out=("name",))
    if "lr" in optimizer:
        optimizer["learning_rate"] = optimizer.pop("lr")
    return TrainSettings(**chosen, **optimizer)


def resolve(loaded: Loaded, drafts: list[Draft], predicates: Predicates) -> StackSpec:
    """The spec that leaves the language."""
    written = loaded.written
    assert written.name is not None, "a spec without errors has its required keys"
    # in the stack's order: a policy means the same in whatever order its bricks are written
    height = {draft.id: draft.index for draft in drafts}
    policies = {
        name: Policy(
            name,
            tuple(
                (brick, predicates.trees["skip_policies", name, brick])
                for brick in sorted(skips, key=lambda brick: height[brick])
            ),
        )
        for name, skips in (written.skip_policies or {}).items()
    }
    conditioning = written.conditioning
    dropout = conditioning.label_dropout if conditioning else None
    unconditional = conditioning is None or conditioning.classes is None
    spec = StackSpec(
        name=written.name,
        description=written.description or "",
        shape=_shape(loaded, drafts),
        label_dropout=0.0 if unconditional else DEFAULT_LABEL_DROPOUT if dropout is None else dropout,
        default_skips={id: predicates.trees[path] for id, path in predicates.default_skips(drafts).items()},
        policies=policies,
        data_path=written.data.path if written.data else None,
        data_resize=(written.data.resize if written.data else None) or "none",
        train=resolve_train(loaded),
        sample=resolve_sample(loaded),
        pretrained=_pretrained(loaded),
        spans=loaded.tree.spans(),
    )
    if written.train is None:
        return spec
    stages = tuple(Stage(**_chosen(stage)) for stage in written.train.stages or [])
    drop = None if written.train.drop is None else resolve_drop(written.train.drop, spec)
    return replace(spec, train=replace(spec.train, stages=stages, drop=drop))


def _pretrained(loaded: Loaded) -> dict[str, PretrainedSettings]:
    found: dict[str, PretrainedSettings] = {}
    for place, brick in enumerate(loaded.written.bricks or []):
        if brick.pretrained is not None:
            chosen = _chosen(brick.pretrained)
            if place and chosen.get("noise_scale") is None:
                chosen["noise_scale"] = DEFAULT_NOISE_SCALE
            found[str(brick.id)] = _with_heads(PretrainedSettings(**chosen))
    return found


def _with_heads(settings: PretrainedSettings) -> PretrainedSettings:
    """A DiT's heads, also where those of the published model are meant."""
    if settings.kind != "dit" or settings.heads is not None:
        return settings
    from legoc.spec.model_files import read_model

    facts = read_model(settings)
    assert facts is not None
    assert facts.stack is not None
    return replace(settings, heads=facts.stack.bricks[0].heads)


def _pretrained_shape(loaded: Loaded, drafts: list[Draft]) -> PretrainedShape | None:
    """The pretrained brick, as its files' JSON says it."""
    for id, settings in _pretrained(loaded).items():
        from legoc.spec.model_files import read_model  # specs without such a brick, nearly all, need not import it

        facts = read_model(settings)
        draft = next(draft for draft in drafts if draft.is_pretrained)
        told = PretrainedShape(
            id=id,
            kind=settings.kind,
            path=settings.path,
            frozen=settings.frozen,
            name=settings.name,
            loss_weight=draft.loss_weight,
            classes=None if facts is None else facts.classes,
            predicts="x0" if facts is None else cast("Prediction", facts.predicts),
            sigmas=() if facts is None else facts.levels,
            place=draft.index,
            noise_scale=settings.noise_scale,
        )
        if facts is None or facts.stack is None:
            return told
        return replace(told, weights=tuple(weight_shapes(facts.stack).items()), stack=facts.stack)
    return None


def _chosen(section: Section | None, *, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the user wrote in a section; a written `null` counts, an absent key does not."""
    if section is None:
        return {}
    values = {key: getattr(section, key) for key in section.model_fields_set if key not in leave_out}
    return {key: _frozen(value) for key, value in values.items()}


def _frozen(value: object) -> object:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def _shape(loaded: Loaded, drafts: list[Draft]) -> StackShape:
    written, grid = loaded.written, grid_of(loaded)
    conditioning = written.conditioning
    # a spec without errors has its required keys
    assert grid is not None
    assert written.grid is not None
    assert written.grid.channels is not None
    assert conditioning is not None
    channels = written.grid.channels
    widest = max(draft.width for draft in drafts if draft.width is not None and not draft.is_pretrained)
    condition_width = conditioning.width or widest
    compat = written.compat
    coordinates = (compat.coordinates if compat else None) or "row_column"
    diffusion = resolve_diffusion(loaded)
    learned = isinstance(diffusion, DdpmConstants) and diffusion.variance == "learned_range"
    bricks = tuple(
        _brick(
            draft,
            grid,
            channels,
            coordinates=0 if coordinates == "none" else 2,
            condition_width=condition_width,
            variance_channels=channels if learned else 0,
        )
        for draft in drafts
        if not draft.is_pretrained
    )
    return StackShape(
        channels=channels,
        grid=grid,
        classes=conditioning.classes,
        label_form=(compat.label_embedding if compat else None) or "table",
        coordinates=coordinates,
        condition_width=condition_width,
        carry=written.carry or "x0",
        diffusion=diffusion,
        bricks=bricks,
        time_scale=(compat.time_scale if compat else None) or 1.0,
        pretrained=_pretrained_shape(loaded, drafts),
    )


def _brick(
    draft: Draft,
    grid: tuple[int, int],
    channels: int,
    *,
    coordinates: int,
    condition_width: int,
    variance_channels: int,
) -> BrickShape:
    assert draft.id is not None
    assert draft.window is not None
    assert draft.receptive_field is not None
    assert draft.depth is not None
    assert draft.width is not None
    assert draft.heads is not None
    return BrickShape(
        id=draft.id,
        window=draft.window,
        grid=grid,
        receptive_field=draft.receptive_field,
        depth=draft.depth,
        width=draft.width,
        heads=draft.heads,
        mlp_ratio=draft.mlp_ratio,
        channels=channels,
        coordinates=coordinates,
        takes_estimate=draft.index > 0,
        condition_width=condition_width,
        train_patches=draft.train_patches,
        loss_weight=draft.loss_weight,
        offset=draft.offset,
        variance_channels=variance_channels,
    )
