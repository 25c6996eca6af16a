"""The canonical text of a spec: every value explicit, one way to write it. Its hash is the spec's identity."""

from __future__ import annotations

import re
from collections.abc import Iterator

from legoc.spec.resolved import StackSpec
from legoc.spec.scalars import resolve_plain
from legoc_runtime.contract import predicate
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
    edm = shape.diffusion
    yield "diffusion:"
    yield from _entries(kind="edm", sigma_data=edm.sigma_data, sigma_min=edm.sigma_min, sigma_max=edm.sigma_max)
    yield from _entries(rho=edm.rho, p_mean=edm.p_mean, p_std=edm.p_std)
    yield f"carry: {shape.carry}"
    yield "bricks:"
    for brick in shape.bricks:
        skip = spec.default_skips.get(brick.id)
        yield from _brick(brick, None if skip is None else predicate.text(skip))
    yield "skip_policies:" + ("" if spec.policies else " {}")
    for name, policy in spec.policies.items():
        yield f"  {_scalar(name)}:" + ("" if policy.skips else " {}")
        for brick, tree in policy.skips:
            yield f"    {_scalar(brick)}: {_quoted(predicate.text(tree))}"
    yield "compat:"
    yield from _entries(coordinates=shape.coordinates, label_embedding=shape.label_form)
    if spec.data_path is not None:
        yield "data:"
        yield from _entries(path=spec.data_path)
    yield from _train(spec)
    sample = spec.sample
    yield "sample:"
    yield from _entries(sampler=sample.sampler, steps=sample.steps, guidance=sample.guidance, churn=sample.churn)
    yield from _entries(churn_min=sample.churn_min, churn_max=sample.churn_max, churn_noise=sample.churn_noise)


def _brick(brick: BrickShape, skip: str | None) -> Iterator[str]:
    size = "image" if brick.covers_grid else f"{brick.window[0]}x{brick.window[1]}"
    yield f"  - id: {_scalar(brick.id)}"
    if brick.window[0] == brick.window[1] and not brick.covers_grid:
        size = brick.window[0]
    lines = _entries(
        size=size,
        receptive_field=brick.receptive_field,
        depth=brick.depth,
        width=brick.width,
        heads=brick.heads,
        mlp_ratio=brick.mlp_ratio,
        train_patches=brick.train_patches,
        loss_weight=brick.loss_weight,
    )
    yield from (f"  {line}" for line in lines)
    if skip is not None:
        yield f"    skip: {_quoted(skip)}"


def _train(spec: StackSpec) -> Iterator[str]:
    train = spec.train
    yield "train:"
    yield from _entries(batch=train.batch, images=train.images)
    yield "  optimizer:"
    optimizer = _entries(name="adamw", lr=train.learning_rate, betas=train.betas, weight_decay=train.weight_decay)
    yield from (f"  {line}" for line in optimizer)
    yield from _entries(warmup_images=train.warmup_images, clip_norm=train.clip_norm, ema=train.ema)
    yield from _entries(fill=train.fill, gradient=train.gradient, flip=train.flip, seed=train.seed)
    yield from _entries(snapshot_images=train.snapshot_images, log_images=train.log_images)


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
            return value if _PLAIN.fullmatch(value) and isinstance(resolve_plain(value), str) else _quoted(value)
        case tuple():
            return f"[{', '.join(_scalar(item) for item in value)}]"


def _quoted(text: str) -> str:
    return '"' + "".join(_character(character) for character in text) + '"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
