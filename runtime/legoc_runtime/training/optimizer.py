"""AdamW with a schedule in images, a bound on the gradient's norm, and a brake on the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import assert_never, cast

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_

from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.store import WeightStore
from legoc_runtime.training.holding import Holding, Whole
from legoc_runtime.training.precision import LossScale

_STATE = ("step", "exp_avg", "exp_avg_sq")
SCALE = "loss_scale/"
"""Before the names of the loss scale's tensors, in a checkpoint."""


def learning_rate(images: int, settings: TrainSettings) -> float:
    """The rate of the step that brings the run to `images`: linear from 0 over the warm-up, then as scheduled."""
    if images < settings.warmup_images:
        return settings.learning_rate * images / settings.warmup_images
    return settings.learning_rate * _decayed(images, settings)


def _decayed(images: int, settings: TrainSettings) -> float:
    """Share of the peak that is left after the warm-up."""
    match settings.schedule:
        case "constant":
            return 1.0
        case "cosine":
            end = settings.images if settings.decay_images is None else settings.decay_images
            passed = (images - settings.warmup_images) / max(end - settings.warmup_images, 1)
            return 0.5 + 0.5 * math.cos(math.pi * min(passed, 1.0))
        case "inverse_sqrt":
            assert settings.decay_images is not None, "checked with the other settings"
            return 1 / math.sqrt(max(images / settings.decay_images, 1.0))
        case _:
            assert_never(settings.schedule)


class Optimizer:
    """AdamW over a store's weights; weight decay acts on all of them.

    Args:
        store: the weights.
        settings: training settings.
        held: what of the weights this process updates; None is all of it, in a run of one process.

    Attributes:
        halted: 1 once a loss or a gradient was not finite, then for good; 0 before. float32, on the device.
        halted_at: position of the first image of that step; -1 before. int64, on the device.
        scale: the factor of the loss where it is trained in float16, or None.
    """

    def __init__(self, store: WeightStore, settings: TrainSettings, held: Holding | None = None) -> None:
        self._store = store
        self._holding = held or Whole(store)
        self._weights = self._holding.weights
        self._settings = settings
        self._adamw = torch.optim.AdamW(
            self._weights.values(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.halted = torch.zeros((), device=store.device)
        self.halted_at = torch.full((), -1, dtype=torch.int64, device=store.device)
        self.scale = LossScale(store.device) if settings.precision == "fp16" else None
        self._held = torch.zeros((), device=store.device)
        # the fused kernel leaves weights and moments alone where `found_inf` is 1, and divides gradients by
        # `grad_scale`, as GradScaler has it do
        self._adamw.found_inf = self._held  # pyright: ignore[reportAttributeAccessIssue]
        self._adamw.grad_scale = None if self.scale is None else self.scale.scale  # pyright: ignore[reportAttributeAccessIssue]

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss, a scalar, to those that are there; scaled where it is trained in float16."""
        scaled = loss if self.scale is None else loss * self.scale.scale
        scaled.backward()  # pyright: ignore[reportUnknownMemberType]

    def apply(self, loss: Tensor, *, start: int, images: int) -> Tensor:
        """Update the weights from their gradients, unless something was not finite, and clear the gradients.

        Nothing here waits for the device.

        Args:
            loss: the loss that the gradients are of, a scalar, as it was before it was scaled.
            start: position of the step's first image.
            images: images trained on once this step is done.

        Returns:
            the norm of the gradient before clipping, a scalar; not finite where the step was left out.
        """
        weights = list(self._weights.values())
        norm = self._holding.norm()
        if self.scale is not None:
            norm = norm / self.scale.scale
        self._observe(loss.detach(), norm, start)
        if self._settings.clip_norm is not None:
            clip_grads_with_norm_(weights, self._settings.clip_norm, norm)
        self._adamw.param_groups[0]["lr"] = learning_rate(images, self._settings)
        with self._store.updating():
            self._adamw.step()  # pyright: ignore[reportUnknownMemberType]
        self._adamw.zero_grad(set_to_none=True)
        if self.scale is not None:
            self.scale.update(self._held)
        return norm

    @torch.no_grad()
    def _observe(self, loss: Tensor, norm: Tensor, start: int) -> None:
        overflow = ~torch.isfinite(norm)
        # a scaled gradient may overflow: the next step has half the scale; without a scale to lower it is an end
        bad = ~torch.isfinite(loss) | (overflow if self.scale is None else overflow & (self.scale.scale <= 1))
        first = bad & (self.halted == 0)
        self.halted_at.copy_(torch.where(first, start, self.halted_at))
        self.halted.copy_(torch.where(bad, 1.0, self.halted))
        self._held.copy_(torch.where(overflow, 1.0, self.halted))

    def tensors(self) -> dict[str, Tensor]:
        """AdamW's state as `STATE/WEIGHT KEY` -> tensor, none before the first step; and the scale of the loss."""
        state = cast("dict[Tensor, dict[str, Tensor]]", self._adamw.state)
        scale = {} if self.scale is None else self.scale.tensors()
        return {
            f"{name}/{key}": state[weight][name]
            for name in _STATE
            for key, weight in self._weights.items()
            if weight in state
        } | {SCALE + name: value for name, value in scale.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the state from `tensors()` of an optimizer over the same weights, in the same precision."""
        # absent where the run was not in float16 before (`--change train.precision`)
        if self.scale is not None and SCALE + "scale" in tensors:
            self.scale.load({name.removeprefix(SCALE): t for name, t in tensors.items() if name.startswith(SCALE)})
        state = {
            i: {name: tensors[f"{name}/{key}"] for name in _STATE}
            for i, key in enumerate(self._weights)
            if f"step/{key}" in tensors
        }
        whole = self._adamw.state_dict()
        self._adamw.load_state_dict({**whole, "state": state})
