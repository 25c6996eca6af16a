"""AdamW with a warm-up in images, a bound on the gradient's norm, and a brake on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.store import WeightStore

_STATE = ("step", "exp_avg", "exp_avg_sq")


def learning_rate(images: int, settings: TrainSettings) -> float:
    """The rate of the step that brings the run to `images`: linear from 0 over the warm-up, then constant."""
    if images >= settings.warmup_images:
        return settings.learning_rate
    return settings.learning_rate * images / settings.warmup_images


class Optimizer:
    """AdamW over a store's weights; weight decay acts on all of them.

    Attributes:
        halted: 1 once a loss or a gradient was not finite, then for good; 0 before. float32, on the device.
        halted_at: position of the first image of that step; -1 before. int64, on the device.
    """

    def __init__(self, store: WeightStore, settings: TrainSettings) -> None:
        self._store = store
        self._settings = settings
        self._adamw = torch.optim.AdamW(
            store.weights.values(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.halted = torch.zeros((), device=store.device)
        self.halted_at = torch.full((), -1, dtype=torch.int64, device=store.device)
        # the fused kernel leaves weights and moments alone where `found_inf` is 1, as GradScaler has it do
        self._adamw.found_inf = self.halted  # pyright: ignore[reportAttributeAccessIssue]
        self._adamw.grad_scale = None  # pyright: ignore[reportAttributeAccessIssue]

    def apply(self, loss: Tensor, *, start: int, images: int) -> Tensor:
        """Update the weights from their gradients, unless something was not finite, and clear the gradients.

        Nothing here waits for the device.

        Args:
            loss: the loss that the gradients are of, a scalar.
            start: position of the step's first image.
            images: images trained on once this step is done.

        Returns:
            the norm of the gradient before clipping, a scalar.
        """
        weights = list(self._store.weights.values())
        norm = get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        self._observe(loss.detach(), norm, start)
        if self._settings.clip_norm is not None:
            clip_grads_with_norm_(weights, self._settings.clip_norm, norm)
        self._adamw.param_groups[0]["lr"] = learning_rate(images, self._settings)
        with self._store.updating():
            self._adamw.step()  # pyright: ignore[reportUnknownMemberType]
        self._adamw.zero_grad(set_to_none=True)
        return norm

    @torch.no_grad()
    def _observe(self, loss: Tensor, norm: Tensor, start: int) -> None:
        bad = ~(torch.isfinite(loss) & torch.isfinite(norm))
        first = bad & (self.halted == 0)
        self.halted_at.copy_(torch.where(first, start, self.halted_at))
        self.halted.copy_(torch.where(bad, 1.0, self.halted))

    def tensors(self) -> dict[str, Tensor]:
        """AdamW's state as `STATE/WEIGHT KEY` -> tensor; empty before the first step."""
        state = cast("dict[Tensor, dict[str, Tensor]]", self._adamw.state)
        return {
            f"{name}/{key}": state[weight][name]
            for name in _STATE
            for key, weight in self._store.weights.items()
            if weight in state
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take AdamW's state from `tensors()` of an optimizer over the same weights."""
        state = {
            i: {name: tensors[f"{name}/{key}"] for name in _STATE}
            for i, key in enumerate(self._store.weights)
            if f"step/{key}" in tensors
        }
        whole = self._adamw.state_dict()
        self._adamw.load_state_dict({**whole, "state": state})
