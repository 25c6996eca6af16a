"""The canonical text of a spec: every value explicit, one way to write it. Its hash is the spec's identity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict

from legoc.spec.resolved import StackSpec
from legoc.spec.scalars import resolve_plain
from legoc_runtime.contract import predicate
from legoc_runtime.contract.samplers import SAMPLERS
from legoc_runtime.contract.settings import GRID
from legoc_runtime.contract.stack import BrickShape

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./+-]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def resolved_yaml(spec: StackSpec) -> str:
    """The spec as YAML with every default written out; reading it gives an equal `StackSpec`.

    The same spec gives the same bytes: keys in the language's order, counts as whole numbers, predicates in their
    canonical form, no comments. Ends with a newline.
    """
    return "\n".join(_lines(spec)) + "\n"


def _lines(spec: StackSpec) -> Iterator[str]:
    shape = spec.shape
    yield "legoc: 1"
    yield f"name: {_scalar(spec.name)}"
    yield f"description: {_scalar(spec.description)}"
    yield "grid:"
    yield from _entries(height=shape.grid[0], width=shape.grid[1], channels=shape.channels)
    yield "conditioning:"
    yield from _entries(classes=shape.classes, label_dropout=spec.label_dropout, width=shape.condition_width)
    yield "diffusion:"
    yield from _entries(kind=shape.diffusion.kind, **asdict(shape.diffusion))
    yield f"carry: {shape.carry}"
    yield "bricks:"
    for id in spec.ids:
        if id in spec.pretrained:
            yield from _pretrained(spec, id)
        else:
            yield from _brick(shape.brick(id))
            yield from _skip(spec, id)
    yield "skip_policies:" + ("" if spec.policies else " {}")
    for name, policy in spec.policies.items():
        yield f"  {_scalar(name)}:" + ("" if policy.skips else " {}")
        for brick, tree in policy.skips:
            yield f"    {_scalar(brick)}: {quoted(predicate.text(tree))}"
    yield "compat:"
    yield from _entries(coordinates=shape.coordinates, label_embedding=shape.label_form, time_scale=shape.time_scale)
    if spec.data_path is not None or spec.data_resize != "none":
        yield "data:"
        yield from _entries(**({} if spec.data_path is None else {"path": spec.data_path}), resize=spec.data_resize)
    yield from _train(spec)
    sample = spec.sample
    yield "sample:"
    yield from _entries(sampler=sample.sampler, steps=sample.steps, guidance=sample.guidance)
    yield f"  guidance_channels: {sample.guidance_channels}"  # `all`, or a number, which takes no quotes
    yield from _entries(guidance_interval=sample.guidance_interval)
    if SAMPLERS[sample.sampler].churns:
        yield from _entries(churn=sample.churn, churn_min=sample.churn_min, churn_max=sample.churn_max)
        yield from _entries(churn_noise=sample.churn_noise)
    if SAMPLERS[sample.sampler].takes_eta:
        yield from _entries(eta=sample.eta)
    yield from _entries(skip_policy=sample.skip_policy)
    # their forms (0-63, 0,3,5, 0.999, words) need no quotes
    yield from (f"  {key}: {getattr(sample, key)}" for key in ("seeds", "classes", "batch", "ema"))
    if sample.decoder != "none":
        yield from _entries(decoder=sample.decoder)
    if sample.decode != "tiles":
        yield from _entries(decode=sample.decode)
    if sample.size != GRID:
        yield f"  size: {sample.size}"
        yield from _entries(stride=sample.stride, canvas=sample.canvas, wrap=sample.wrap)
        yield "  regions:" + ("" if sample.regions else " []")
        for region in sample.regions:
            box = f"[{region.left}, {region.top}, {region.right}, {region.bottom}]"
            yield f"    - {{class: {region.label}, box: {box}}}"


def _skip(spec: StackSpec, id: str) -> Iterator[str]:
    if id in spec.default_skips:
        yield f"    skip: {quoted(predicate.text(spec.default_skips[id]))}"


def _pretrained(spec: StackSpec, id: str) -> Iterator[str]:
    settings = spec.pretrained[id]
    yield f"  - id: {_scalar(id)}"
    if not settings.frozen:
        yield from (f"  {line}" for line in _entries(loss_weight=spec.shape.loss_weight(id)))
    yield from _skip(spec, id)
    yield "    pretrained:"
    yield from (f"    {line}" for line in _entries(kind=settings.kind, path=settings.path, frozen=settings.frozen))
    if settings.name is not None:
        yield f"      name: {_scalar(settings.name)}"
    if settings.heads is not None:
        yield f"      heads: {settings.heads}"
    if settings.noise_scale is not None:
        yield from (f"    {line}" for line in _entries(noise_scale=settings.noise_scale))


def _sides(sides: tuple[int, int]) -> int | str:
    return sides[0] if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"


def _brick(brick: BrickShape) -> Iterator[str]:
    yield f"  - id: {_scalar(brick.id)}"
    lines = _entries(
        size="image" if brick.covers_grid else _sides(brick.window),
        offset=_sides(brick.offset),
        receptive_field=brick.receptive_field,
        depth=brick.depth,
        width=brick.width,
        heads=brick.heads,
        mlp_ratio=brick.mlp_ratio,
        train_patches=brick.train_patches,
        loss_weight=brick.loss_weight,
    )
    yield from (f"  {line}" for line in lines)


def _train(spec: StackSpec) -> Iterator[str]:
    train = spec.train
    yield "train:"
    yield from _entries(batch=train.batch, images=train.images, precision=train.precision)
    yield from _entries(accumulate=train.accumulate, checkpoint_activations=train.checkpoint_activations)
    yield from _entries(sharding=train.sharding)
    yield "  optimizer:"
    optimizer = _entries(name="adamw", lr=train.learning_rate, betas=train.betas, weight_decay=train.weight_decay)
    yield from (f"  {line}" for line in optimizer)
    yield from _entries(warmup_images=train.warmup_images, schedule=train.schedule, decay_images=train.decay_images)
    yield from _entries(clip_norm=train.clip_norm, ema=train.ema, ema_profiles=train.ema_profiles)
    yield from _entries(ema_snapshot_images=train.ema_snapshot_images)
    if train.drop is not None:
        yield f"  drop: {{policy: {_scalar(train.drop.policy)}, rate: {_scalar(train.drop.rate)}}}"
    yield "  stages:" + ("" if train.stages else " []")
    for stage in train.stages:
        images = "" if stage.images is None else f", images: {stage.images}"
        yield f"    - {{train: [{', '.join(map(_scalar, stage.train))}]{images}}}"
    yield from _entries(
        loss_weighting=train.loss_weighting, patches=train.patches, fill=train.fill, gradient=train.gradient
    )
    if train.start_from is not None:
        yield from _entries(start_from=train.start_from)
    yield from _entries(flip=train.flip, seed=train.seed)
    yield from _entries(snapshot_images=train.snapshot_images, keep=train.keep)
    yield from _entries(keep_every_images=train.keep_every_images, log_images=train.log_images, held_out=train.held_out)
    if train.on_explosion != "stop":
        yield from _entries(on_explosion=train.on_explosion)
    if train.preview_images is not None:
        yield from _entries(preview_images=train.preview_images)
        yield f"  preview_seeds: {train.preview_seeds}"


Value = str | int | float | bool | tuple[float, ...] | None


def _entries(**values: Value) -> Iterator[str]:
    for key, value in values.items():
        yield f"  {key}: {_scalar(value)}"


def _scalar(value: Value) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            # 0.3 and 1e-05 read back as the same float; whole numbers lose their `.0`
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case str():
            return value if _PLAIN.fullmatch(value) and isinstance(resolve_plain(value), str) else quoted(value)
        case tuple():
            return f"[{', '.join(_scalar(item) for item in value)}]"


def quoted(text: str) -> str:
    """A text in double quotes, as YAML reads it."""
    return '"' + "".join(_character(character) for character in text) + '"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
