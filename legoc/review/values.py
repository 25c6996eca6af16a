"""A resolved spec as values that can be compared one by one, each with the place where it was written.

Keys are those of the language, with `*` for a brick's id: `bricks.*.depth`, `train.optimizer.lr`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import cast

from legoc.source import Span
from legoc.spec.canonical import quoted
from legoc.spec.origins import written_at
from legoc.spec.resolved import Path, StackSpec
from legoc_runtime.contract import predicate
from legoc_runtime.contract.canvas_request import default_stride
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.request import parse_interval
from legoc_runtime.contract.settings import Drop, Region, Stage
from legoc_runtime.contract.stack import BrickShape

Scalar = str | int | float | bool | tuple[object, ...] | None

SPEC_KEYS: Mapping[str, str] = {
    "name": "name",
    "description": "description",
    "label_dropout": "conditioning.label_dropout",
    "data_path": "data.path",
    "data_resize": "data.resize",
}
"""Fields of a `StackSpec` that are one value."""

SHAPE_KEYS: Mapping[str, str] = {
    "grid": "grid",
    "channels": "grid.channels",
    "classes": "conditioning.classes",
    "condition_width": "conditioning.width",
    "label_form": "compat.label_embedding",
    "coordinates": "compat.coordinates",
    "time_scale": "compat.time_scale",
    "carry": "carry",
}
"""Fields of a `StackShape` that are one value."""

BRICK_KEYS: Mapping[str, str] = {
    "window": "size",
    "offset": "offset",
    "receptive_field": "receptive_field",
    "depth": "depth",
    "width": "width",
    "heads": "heads",
    "mlp_ratio": "mlp_ratio",
    "train_patches": "train_patches",
    "loss_weight": "loss_weight",
}
"""Fields of a `BrickShape` that a spec says of the brick; the others follow from its place and the stack."""

BRICK = "bricks.*."
"""What keys of bricks begin with."""

TRAIN_KEYS: Mapping[str, str] = {
    "learning_rate": "optimizer.lr",
    "betas": "optimizer.betas",
    "weight_decay": "optimizer.weight_decay",
}
"""Fields of `TrainSettings` whose key is not their name."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value on one side.

    Attributes:
        text: the value as people write it.
        span: where it was written; None where it is the language's default.
        near: the nearest place that was written, to point to.
    """

    text: str
    span: Span | None = field(default=None, compare=False, repr=False)
    near: Span | None = field(default=None, compare=False, repr=False)


def spec_texts(spec: StackSpec) -> dict[str, str]:
    """Every value of a spec but those of its bricks and policies, by key, in the order of the language."""
    return dict(_stack_texts(spec))


def spec_value(spec: StackSpec, key: str, text: str) -> Value:
    """The value that a key of the spec has, with its places."""
    return _at(spec, tuple(key.split(".")), text)


def brick_texts(spec: StackSpec, id: str) -> dict[str, str]:
    """Every value of a brick by key, `bricks.*.KEY`; of a pretrained one, those of its section."""
    if id in spec.pretrained:
        given = {f"{BRICK}pretrained.{name}": text for name, text in _field_texts(spec.pretrained[id])}
        return given | {f"{BRICK}loss_weight": shown(spec.shape.loss_weight(id))}
    brick = spec.shape.brick(id)
    return {f"{BRICK}{key}": _brick_text(brick, name) for name, key in BRICK_KEYS.items()}


def brick_value(spec: StackSpec, id: str, key: str, text: str) -> Value:
    """The value that a key of the brick has, with its places."""
    return _at(spec, ("bricks", spec.ids.index(id), *key.removeprefix(BRICK).split(".")), text)


def policy_value(spec: StackSpec, policy: Policy) -> Value:
    """A policy as one value: `top: sigma < 0.3; detail: sigma > 8`, or `nothing is left out`."""
    text = "; ".join(f"{id}: {predicate.text(tree)}" for id, tree in policy.skips) or "nothing is left out"
    if policy.name == "default":
        first = spec.ids.index(policy.skips[0][0])
        return _at(spec, ("bricks", first, "skip"), text)
    return _at(spec, ("skip_policies", policy.name), text)


def id_value(spec: StackSpec, id: str) -> Value:
    """A brick's id as a value, at the place where the id stands."""
    return _at(spec, ("bricks", spec.ids.index(id), "id"), id)


def order_value(spec: StackSpec) -> Value:
    """The order of the bricks, bottom to top."""
    return _at(spec, ("bricks",), ", ".join(spec.ids))


def shown(value: Scalar) -> str:
    """A value as people write it: `none` for null, 1000 for 1000.0."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case tuple():
            return f"[{', '.join(shown(item) for item in value)}]"  # pyright: ignore[reportArgumentType]
        case str():
            return value if value.isprintable() else quoted(value)
        case int():
            return str(value)


def sides(pair: tuple[int, int]) -> str:
    """Height and width as a spec says them: `32`, `16x32`."""
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _stack_texts(spec: StackSpec) -> Iterator[tuple[str, str]]:
    for name in ("name", "description"):
        yield SPEC_KEYS[name], shown(getattr(spec, name))
    for name, key in SHAPE_KEYS.items():
        value = getattr(spec.shape, name)
        yield key, sides(value) if name == "grid" else shown(value)
    yield SPEC_KEYS["label_dropout"], shown(spec.label_dropout)
    diffusion = spec.shape.diffusion
    yield "diffusion.kind", diffusion.kind
    yield from ((f"diffusion.{name}", text) for name, text in _field_texts(diffusion))
    yield SPEC_KEYS["data_path"], shown(spec.data_path)
    yield SPEC_KEYS["data_resize"], shown(spec.data_resize)
    yield from ((f"train.{TRAIN_KEYS.get(name, name)}", text) for name, text in _field_texts(spec.train))
    sample = dict(_field_texts(spec.sample))
    # as docs write it; the resolved form, which sets of samples are known by, has "0.3,5.0"
    sample["guidance_interval"] = _interval(spec.sample.guidance_interval)
    if spec.sample.stride is None:
        # what a canvas takes that says nothing of it, so that there is no change of stride where one comes or goes
        sample["stride"] = shown(default_stride(spec.shape.grid))
    yield from ((f"sample.{name}", text) for name, text in sample.items())


def _interval(text: str) -> str:
    interval = parse_interval(text)
    return text if interval is None else shown(interval)


def _field_texts(section: object) -> Iterator[tuple[str, str]]:
    for entry in fields(section):  # pyright: ignore[reportArgumentType]
        yield entry.name, _text(getattr(section, entry.name))


def _text(value: Scalar | Drop | tuple[Stage, ...]) -> str:
    """A value of a section.

    Stages as `coarse for 2000000, coarse+detail`, a policy with what it runs, regions as flags have them.
    """
    if isinstance(value, Drop):
        bands = ", ".join(f"{'+'.join(band.bricks)} at {band.share:.4g}" for band in value.bands)
        return f"{value.policy} in {value.rate:g} of the steps ({bands})"
    if isinstance(value, tuple) and value and isinstance(value[0], Stage):
        stages = cast("tuple[Stage, ...]", value)
        return ", ".join("+".join(s.train) + (f" for {s.images}" if s.images else "") for s in stages)
    if isinstance(value, tuple) and value and isinstance(value[0], Region):
        return "; ".join(map(str, value))
    return shown(cast("Scalar", value))


def _brick_text(brick: BrickShape, name: str) -> str:
    if name == "window":
        return "image" if brick.covers_grid else sides(brick.window)
    return sides(brick.offset) if name == "offset" else shown(getattr(brick, name))


def _at(spec: StackSpec, path: Path, text: str) -> Value:
    span = None if path[:1] == ("bricks",) and len(path) == 1 else written_at(spec, path)
    return Value(text, span or (spec.spans.get(path) if len(path) == 1 else None), spec.span(*path))
