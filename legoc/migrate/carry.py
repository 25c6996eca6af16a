"""Tensors of one stack to tensors of another, as the plan of a comparison says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from legoc.review.tensors import LOST, TensorMove, TensorPlan
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.pretrained import open_store

MOMENTS = ("exp_avg", "exp_avg_sq")
STEP = "step"
"""AdamW's state of a weight is `exp_avg/KEY`, `exp_avg_sq/KEY` and `step/KEY`."""


def carried(plan: TensorPlan, tensors: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the new stack, in store order.

    Args:
        plan: what becomes of every tensor; none of them is lost.
        tensors: weight key -> tensor, of the old stack.
        new: what new weights begin with, by their keys.
    """
    moves = (move for move in plan.moves if move.after is not None)
    return {str(move.after): _moved(move, tensors, lambda key: new[key]) for move in moves}


def carried_moments(plan: TensorPlan, optimizer: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """AdamW's state for the new stack.

    New weights have none: AdamW begins theirs at their own first step. New columns of a weight that is there begin
    with moments of zero. What the file holds besides is left out: the sums for the next line of metrics, the
    scale of the loss.
    """
    found: dict[str, Tensor] = {}
    for move in plan.moves:
        if move.before is None or move.after is None or f"{STEP}/{move.before}" not in optimizer:
            continue
        found[f"{STEP}/{move.after}"] = optimizer[f"{STEP}/{move.before}"]
        for name in MOMENTS:
            of = {move.before: optimizer[f"{name}/{move.before}"]}
            found[f"{name}/{move.after}"] = _moved(move, of, _nothing)
    return found


def beginnings(plan: TensorPlan, shape: StackShape, seed: int) -> dict[str, Tensor]:
    """What new weights begin with, by their keys: as a run of the new spec would draw them, gates and outputs at zero.

    Those of a pretrained brick are as its files say.

    Args:
        plan: what becomes of every tensor.
        shape: the new stack.
        seed: of the run.
    """
    keys = {str(move.after) for move in plan.moves if move.how == "new"}
    if not keys:
        return {}
    bricks = {brick.id for brick in shape.bricks if any(key.startswith(f"bricks.{brick.id}.") for key in keys)}
    if shape.pretrained is not None and not keys.isdisjoint(shape.pretrained.stored_weights):
        bricks.add(shape.pretrained.id)
    store = open_store(shape, bricks=bricks)
    store.initialise(seed)
    return {key: weight.detach() for key, weight in store.weights.items() if key in keys}


def _moved(move: TensorMove, tensors: Mapping[str, Tensor], new: Callable[[str], Tensor]) -> Tensor:
    assert move.how not in LOST, f"{move} cannot be carried over"
    if move.before is None:
        return new(str(move.after))
    tensor = tensors[move.before]
    match move.how, move.shape_after:
        case "widened", (*_, columns):  # columns for the estimate come first
            return torch.cat([tensor.new_zeros(tensor.shape[0], columns - tensor.shape[1]), tensor], dim=1)
        case "narrowed", (*_, columns):
            return tensor[:, -columns:].contiguous()
        case _:
            return tensor


def _nothing(key: str) -> Tensor:
    raise AssertionError(f"{key} is on both sides")
