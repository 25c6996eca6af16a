"""Two resolved specs to the changes between them, brick by brick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias, assert_never

from legoc.describe import declared_policies
from legoc.review.values import (
    Value,
    brick_texts,
    brick_value,
    id_value,
    order_value,
    policy_value,
    spec_texts,
    spec_value,
)
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.settings import GRID, SampleSettings, TrainSettings
from legoc_runtime.contract.stack import BrickShape, brick_weights

NO_RENAMES: Mapping[str, str] = MappingProxyType({})
"""Nothing is said about which brick is which."""


@dataclass(frozen=True, slots=True)
class ValueChanged:
    """A key has another value.

    Attributes:
        key: the key, with `*` for a brick's id: `bricks.*.depth`.
        before: the value that was.
        after: the value that is.
        brick: id of the brick before and after, for a brick's key.
    """

    key: str
    before: Value
    after: Value
    brick: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class BrickAdded:
    """A brick is new. `over` are the bricks that were there before and stand below it."""

    after: Value
    over: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BrickRemoved:
    """A brick is gone. `over` are the bricks that remain and stood below it."""

    before: Value
    over: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BrickRenamed:
    """A brick of the same place and tensors has another id."""

    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class BricksReordered:
    """Bricks that are on both sides stand in another order."""

    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class PolicyAdded:
    """A skip policy is new; `default` is what the bricks' own `skip` keys make."""

    name: str
    after: Value


@dataclass(frozen=True, slots=True)
class PolicyRemoved:
    """A skip policy is gone."""

    name: str
    before: Value


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """A skip policy has other predicates."""

    name: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class TextChanged:
    """The text is another one, every value is the same: comments, layout, defaults written out, files moved."""


Change: TypeAlias = (
    ValueChanged
    | BrickAdded
    | BrickRemoved
    | BrickRenamed
    | BricksReordered
    | PolicyAdded
    | PolicyRemoved
    | PolicyChanged
    | TextChanged
)


@dataclass(frozen=True)
class Changes:
    """The changes between two specs.

    Attributes:
        changes: in the order of the language; bricks bottom to top.
        matched: id before -> id after, for every brick that is on both sides.
    """

    changes: tuple[Change, ...]
    matched: Mapping[str, str] = field(default_factory=dict[str, str])


def compare_specs(before: StackSpec, after: StackSpec, renames: Mapping[str, str] = NO_RENAMES) -> Changes:
    """What changed from one resolved spec to the other; empty for equal ones.

    Args:
        before: the spec that was.
        after: the spec that is.
        renames: id before -> id after, for bricks that are said to be one brick, whatever they have in common.
    """
    matched = match_bricks(before, after, renames)
    found: list[Change] = [*_values(before, after, matched), *_bricks(before, after, matched)]
    return Changes((*found, *_policies(before, after, matched)), matched)


def name_of(change: Change) -> str:
    """What a change is of, as `--set` would name it: `bricks.top.depth`, `skip_policies.lean`."""
    match change:
        case ValueChanged(key=key, brick=brick):
            return key if brick is None else key.replace("*", brick[1])
        case BrickAdded(after=value) | BrickRemoved(before=value) | BrickRenamed(after=value):
            return f"bricks.{value.text}"
        case BricksReordered():
            return "bricks"
        case PolicyAdded(name=name) | PolicyRemoved(name=name) | PolicyChanged(name=name):
            return "bricks.*.skip" if name == "default" else f"skip_policies.{name}"
        case TextChanged():
            return "text"
        case _:
            assert_never(change)


def values_of(change: Change) -> tuple[Value | None, Value | None]:
    """The value before and after; None on a side that has none."""
    match change:
        case BrickAdded(after=after) | PolicyAdded(after=after):
            return None, after
        case BrickRemoved(before=before) | PolicyRemoved(before=before):
            return before, None
        case TextChanged():
            return None, None
        case _:
            return change.before, change.after


def inverse(change: Change) -> Change:
    """The change that undoes a change."""
    match change:
        case ValueChanged(before=before, after=after, brick=brick):
            return replace(change, before=after, after=before, brick=brick and (brick[1], brick[0]))
        case BrickAdded(after=value, over=over):
            return BrickRemoved(value, over)
        case BrickRemoved(before=value, over=over):
            return BrickAdded(value, over)
        case BrickRenamed() | BricksReordered() | PolicyChanged():
            return replace(change, before=change.after, after=change.before)
        case PolicyAdded(name=name, after=value):
            return PolicyRemoved(name, value)
        case PolicyRemoved(name=name, before=value):
            return PolicyAdded(name, value)
        case TextChanged():
            return change
        case _:
            assert_never(change)


def match_bricks(before: StackSpec, after: StackSpec, renames: Mapping[str, str] = NO_RENAMES) -> dict[str, str]:
    """Id before -> id after. Bricks of one id are one brick; so are a lost and a new one of equal place and tensors.

    Places are equal where the same known brick, or none, is next below; several in one place are paired in order.
    What `renames` says goes before both.
    """
    same = {id: id for id in before.ids if id in after.ids and (id in before.pretrained) == (id in after.pretrained)}
    taken = set(renames.values())
    matched = dict(renames) | {id: id for id in same if id not in renames and id not in taken}
    lost, new = _gaps(before.ids, set(matched)), _gaps(after.ids, set(matched.values()))
    for below, ids in lost.items():
        left = list(new.get(None if below is None else matched[below], ()))
        for id in ids:
            twin = next((other for other in left if _is_twin(before, id, after, other)), None)
            if twin is not None:
                matched[id] = twin
                left.remove(twin)
    return {id: matched[id] for id in before.ids if id in matched}


def _gaps(ids: Sequence[str], known: set[str]) -> dict[str | None, list[str]]:
    """Ids that are not known, by the known one next below."""
    gaps: dict[str | None, list[str]] = {}
    below: str | None = None
    for id in ids:
        if id in known:
            below = id
        else:
            gaps.setdefault(below, []).append(id)
    return gaps


def _is_twin(before: StackSpec, id: str, after: StackSpec, other: str) -> bool:
    if id in before.pretrained or other in after.pretrained:
        return before.pretrained.get(id) == after.pretrained.get(other)
    return _tensors(before.shape.brick(id)) == _tensors(after.shape.brick(other))


def _tensors(brick: BrickShape) -> list[tuple[int, ...]]:
    return [shape for _, shape in brick_weights(brick)]


def _values(before: StackSpec, after: StackSpec, matched: Mapping[str, str]) -> Iterator[Change]:
    ours, theirs = spec_texts(before), spec_texts(after)
    of_bricks = _of_bricks(before.train, matched)
    for key, text in ours.items():
        if key in of_bricks:
            differs = of_bricks[key] != _of_bricks(after.train, {})[key]
        else:
            # constants of another diffusion follow from its kind
            differs = key in theirs and text != theirs[key]
        if key == "sample.stride" and all(_takes_no_stride(spec.sample) for spec in (before, after)):
            continue  # what a canvas would take follows from the grid, and there is none
        if differs:
            yield ValueChanged(key, spec_value(before, key, text), spec_value(after, key, theirs[key]))


def _takes_no_stride(sample: SampleSettings) -> bool:
    return sample.size == GRID and sample.stride is None


def _of_bricks(train: TrainSettings, ids: Mapping[str, str]) -> dict[str, object]:
    """What training says of bricks, under other ids: a brick renamed is trained as before."""

    def renamed(bricks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(ids.get(id, id) for id in bricks)

    drop = train.drop and replace(
        train.drop, bands=tuple(replace(band, bricks=renamed(band.bricks)) for band in train.drop.bands)
    )
    stages = tuple(replace(stage, train=renamed(stage.train)) for stage in train.stages)
    return {"train.drop": drop, "train.stages": stages}


def _bricks(before: StackSpec, after: StackSpec, matched: Mapping[str, str]) -> Iterator[Change]:
    for id in before.ids:
        if id not in matched:
            yield BrickRemoved(id_value(before, id), _below(before.ids, id, set(matched)))
    for id in after.ids:
        if id not in matched.values():
            yield BrickAdded(id_value(after, id), _below(after.ids, id, set(matched.values())))
    kept = [id for id in after.ids if id in matched.values()]
    if list(matched.values()) != kept:
        yield BricksReordered(order_value(before), order_value(after))
    for mine, other in matched.items():
        if mine != other:
            yield BrickRenamed(id_value(before, mine), id_value(after, other))
        ours, theirs = brick_texts(before, mine), brick_texts(after, other)
        for key, text in ours.items():
            if text != theirs[key] and not _follows(key, before, mine, after, other):
                values = brick_value(before, mine, key, text), brick_value(after, other, key, theirs[key])
                yield ValueChanged(key, *values, (mine, other))


def _below(ids: Sequence[str], id: str, known: set[str]) -> tuple[str, ...]:
    return tuple(other for other in ids[: ids.index(id)] if other in known)


def _follows(key: str, before: StackSpec, mine: str, after: StackSpec, other: str) -> bool:
    """Whether a value is another because something else is.

    A window that was the whole grid, and is not now, or the other way round, may be the same in pixels. A model at the
    bottom has no `noise_scale`, and one that comes to stand above others has.
    """
    match key:
        case "bricks.*.size":
            return before.shape.brick(mine).window == after.shape.brick(other).window
        case "bricks.*.pretrained.noise_scale":
            return None in (before.pretrained[mine].noise_scale, after.pretrained[other].noise_scale)
        case _:
            return False


def _policies(before: StackSpec, after: StackSpec, matched: Mapping[str, str]) -> Iterator[Change]:
    ours = {policy.name: policy for policy in declared_policies(before)}
    theirs = {policy.name: policy for policy in declared_policies(after)}
    for name in dict.fromkeys([*ours, *theirs]):
        mine, other = ours.get(name), theirs.get(name)
        if mine is None and other is not None:
            yield PolicyAdded(name, policy_value(after, other))
        elif mine is not None and other is None:
            yield PolicyRemoved(name, policy_value(before, mine))
        elif mine is not None and other is not None and _renamed(mine, matched) != dict(other.skips):
            yield PolicyChanged(name, policy_value(before, mine), policy_value(after, other))


def _renamed(policy: Policy, matched: Mapping[str, str]) -> dict[str, object]:
    return {matched.get(id, id): tree for id, tree in policy.skips}
