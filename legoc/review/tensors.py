"""What becomes of every tensor of a checkpoint when the spec changes: what can be carried over, and what cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from legoc_runtime.contract.stack import BrickShape, PretrainedShape, StackShape, brick_weights, conditioning_weights

How = Literal["kept", "renamed", "widened", "narrowed", "new", "reshaped", "missing", "dropped"]
Loading = Literal["as_is", "migrate", "no"]

_Shapes: TypeAlias = Mapping[str, tuple[int, ...] | None]

LOST: frozenset[How] = frozenset({"reshaped", "missing", "dropped"})
"""What no migration makes good: numbers that were trained are gone, or numbers are needed that were never trained."""


@dataclass(frozen=True, slots=True)
class TensorMove:
    """What becomes of one tensor.

    Attributes:
        how: `kept`; `renamed`: under another key; `widened`: columns for an estimate from below come first, zero;
            `narrowed`: those columns go, which a bottom brick does not have; `new`: of a new brick or block, to be
            initialised; `reshaped`: of another shape; `missing`: needed, and not in the checkpoint; `dropped`: of no
            weight any more.
        before: its key in the checkpoint, or None.
        after: its key in the new stack, or None.
        shape_before: its shape in the checkpoint.
        shape_after: its shape in the new stack.

    `pretrained.ID.*`, without shapes, stands for all weights of a model that only its own code tells.
    """

    how: How
    before: str | None
    after: str | None
    shape_before: tuple[int, ...] | None
    shape_after: tuple[int, ...] | None

    def __str__(self) -> str:
        match self.before, self.after:
            case None, str(after):
                return f"{after}{_sides(self.shape_after)} is {'new' if self.how == 'new' else 'missing'}"
            case str(before), None:
                return f"{before}{_sides(self.shape_before)} is dropped"
            case _ if self.how == "renamed":
                return f"{self.before} -> {self.after}"
            case _:
                return f"{self.after}{_sides(self.shape_before)} ->{_sides(self.shape_after)}"


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """What becomes of all tensors, those of the new stack first, in store order."""

    moves: tuple[TensorMove, ...]

    @property
    def loading(self) -> Loading:
        """Whether a checkpoint of the one stack loads into the other: as it is, migrated, or not."""
        kinds = {move.how for move in self.moves}
        return "as_is" if kinds <= {"kept"} else "no" if kinds & LOST else "migrate"

    @property
    def lost(self) -> tuple[TensorMove, ...]:
        """The tensors that break."""
        return tuple(move for move in self.moves if move.how in LOST)


def plan_tensors(before: StackShape, after: StackShape, matched: Mapping[str, str]) -> TensorPlan:
    """What becomes of the tensors of `before` in `after`.

    Args:
        before: the stack that was trained.
        after: the stack that is wanted.
        matched: id before -> id after, for bricks that are on both sides.
    """
    moves = _moves(dict(conditioning_weights(before)), dict(conditioning_weights(after)), "missing")
    was = {matched[brick.id]: brick for brick in before.bricks if brick.id in matched}
    for brick in after.bricks:
        moves += _brick(was[brick.id], brick) if brick.id in was else _moves({}, dict(brick_weights(brick)), "new")
    for brick in before.bricks:
        if brick.id not in matched:
            moves += _moves(dict(brick_weights(brick)), {}, "new")
    moves += _pretrained(before, after, matched)
    return TensorPlan((*(m for m in moves if m.after is not None), *(m for m in moves if m.after is None)))


def _pretrained(before: StackShape, after: StackShape, matched: Mapping[str, str]) -> list[TensorMove]:
    """The weights of a pretrained brick that trains. Those of other files are carried over between stacks alone."""
    mine, other = before.pretrained, after.pretrained
    was, now = _held(mine), _held(other)
    if mine is None or other is None or matched.get(mine.id) != other.id:
        return _moves(was, {}, "new") + _moves({}, now, "new")
    if mine.is_of_files_of(other):
        return _under(mine, other, was, now, "new")
    if mine.stack is None or other.stack is None or not was or not now:
        return _moves(was, {}, "new") + _moves({}, now, "new")
    return _under(mine, other, was, now, "missing")


def _held(shape: PretrainedShape | None) -> dict[str, tuple[int, ...] | None]:
    """What a checkpoint holds of a pretrained brick: `pretrained.ID.*` where only the opened model tells."""
    if shape is None or shape.frozen:
        return {}
    return {**shape.stored_weights} or {f"pretrained.{shape.id}.*": None}


def _under(
    mine: PretrainedShape, other: PretrainedShape, was: _Shapes, now: _Shapes, absent: Literal["new", "missing"]
) -> list[TensorMove]:
    """Weights of the one brick to those of the other, which may have another id."""
    back = {key.replace(f"pretrained.{other.id}.", f"pretrained.{mine.id}.", 1): key for key in now}
    moves = _moves(was, {key: now[new] for key, new in back.items()}, absent)
    if mine.id == other.id:
        return moves
    named = [replace(move, after=move.after and back[move.after]) for move in moves]
    return [replace(move, how="renamed") if move.how == "kept" else move for move in named]


def _brick(before: BrickShape, after: BrickShape) -> list[TensorMove]:
    ours = {key: (key, shape) for key, shape in brick_weights(before)}
    if before.id != after.id:
        renamed = (key.replace(f"bricks.{before.id}.", f"bricks.{after.id}.", 1) for key in ours)
        ours = dict(zip(renamed, ours.values(), strict=True))
    theirs = dict(brick_weights(after))
    moves: list[TensorMove] = []
    for key, shape in theirs.items():
        if key not in ours:
            moves.append(TensorMove("new", None, key, None, shape))
            continue
        was, shape_before = ours[key]
        how: How = "kept" if was == key else "renamed"
        if key.endswith(".embed.weight") and _same_pixels(before, after) and shape_before != shape:
            how = "widened" if after.takes_estimate else "narrowed"
        elif shape_before != shape:
            how = "reshaped"
        moves.append(TensorMove(how, was, key, shape_before, shape))
    dropped = (entry for key, entry in ours.items() if key not in theirs)
    return [*moves, *(TensorMove("dropped", key, None, shape, None) for key, shape in dropped)]


def _same_pixels(before: BrickShape, after: BrickShape) -> bool:
    """Whether the bricks read the same pixels in the same tokens, an estimate from below apart."""
    kinds = [(b.receptive_field, b.channels, b.coordinates, b.width) for b in (before, after)]
    return kinds[0] == kinds[1]


def _moves(before: _Shapes, after: _Shapes, absent: Literal["new", "missing"]) -> list[TensorMove]:
    found: list[TensorMove] = []
    for key, shape in after.items():
        was = before.get(key)
        how: How = absent if key not in before else "kept" if was == shape else "reshaped"
        found.append(TensorMove(how, key if key in before else None, key, was, shape))
    return found + [TensorMove("dropped", key, None, shape, None) for key, shape in before.items() if key not in after]


def _sides(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else f" ({', '.join(map(str, shape))})"
