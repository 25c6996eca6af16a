"""Carrying a checkpoint over as the plan of a comparison says: what a migration has to do, on tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from legoc.review.tensors import TensorPlan
from legoc_runtime.store import WeightStore


def carried(plan: TensorPlan, tensors: Mapping[str, Tensor], fresh: WeightStore) -> dict[str, Tensor]:
    """The tensors of the new stack; what is new is as the store initialises it."""
    found: dict[str, Tensor] = {}
    for move in plan.moves:
        match move.how:
            case "kept" | "renamed":
                found[str(move.after)] = tensors[str(move.before)]
            case "widened":
                was, (rows, columns) = tensors[str(move.before)], move.shape_after or (0, 0)
                found[str(move.after)] = torch.cat(
                    [torch.zeros(rows, columns - was.shape[1], dtype=was.dtype), was], dim=1
                )
            case "narrowed":
                assert move.shape_after is not None
                found[str(move.after)] = tensors[str(move.before)][:, -move.shape_after[1] :]
            case "new":
                found[str(move.after)] = fresh.weights[str(move.after)].detach()
            case _:
                raise AssertionError(f"{move} cannot be carried over")
    return found
