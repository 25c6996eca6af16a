"""The loss on images that are never trained on, at fixed noise: one JSON object a line in `held_out.jsonl`.

| key | meaning |
|---|---|
| `images` | images trained on so far |
| `step` | optimizer steps so far |
| `examples` | how many held-out examples were measured: images, each with its noise level, noise and windows |
| `loss` | training loss of the weights as they are, no average of them; null where it is not finite |
| `loss_by_brick` | brick id -> its own loss, likewise |
| `loss_by_noise` | range of sigma -> training loss of the examples in it, or null where there is none |

Examples are a function of the set and its share alone, so that losses compare between lines, runs and seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data.split import SPLIT_SEED
from legoc_runtime.data.training_set import TrainingSet
from legoc_runtime.training.batch import BatchMaker
from legoc_runtime.training.metrics import Meter, MetricsFile
from legoc_runtime.training.trainer import Trainer

HELD_OUT_NAME = "held_out.jsonl"

LEAST, MOST = 256, 1024
"""Examples: all images once, but smaller sets several times, at other noise, and of larger ones so many."""


@dataclass(frozen=True, slots=True)
class HeldOutMetrics:
    """One line of `held_out.jsonl`; the table above says what its keys mean."""

    images: int
    step: int
    examples: int
    loss: float | None
    loss_by_brick: dict[str, float | None]
    loss_by_noise: dict[str, float | None]


class HeldOut:
    """Measures a run on its held-out images.

    Args:
        run: the run directory.
        trainer: makes the losses, by the very program that trains, so that nothing else has to be compiled.
        dataset: the held-out images.
        shape: the stack.
        keep_images: up to where lines that are there stay; None is where the trainer stands.
    """

    def __init__(
        self, run: Path, trainer: Trainer, dataset: TrainingSet, shape: StackShape, keep_images: int | None = None
    ) -> None:
        self._trainer = trainer
        self._examples = min(max(len(dataset), LEAST), MOST)
        settings, ranks = trainer.settings, trainer.ranks
        self._maker = BatchMaker(dataset, shape, SPLIT_SEED, 0.0, False, settings.patches)
        # as many images at once as a part of a step has
        self._size = settings.batch // settings.accumulate // ranks.size
        images = trainer.state.images if keep_images is None else keep_images
        self._file = MetricsFile(run, keep_images=images, name=HELD_OUT_NAME) if ranks.first else None

    def measure(self) -> HeldOutMetrics:
        """Measure and write a line; waits for the device and the other processes, and moves nothing of the run.

        Raises:
            RunError: an image does not decode, or the file cannot be written.
        """
        state, ranks = self._trainer.state, self._trainer.ranks
        meter = Meter(state.store.shape.trainable, state.store.device)
        for first in range(0, self._examples, ranks.size * self._size):
            start = first + ranks.rank * self._size
            if start >= self._examples and not self._trainer.state.held.sharded:
                break
            # over shards the processes meet in every batch, also where one has nothing left to measure
            batch = self._maker.make(start, self._size).to(state.store.device)
            counted = max(
                0, min(self._size, self._examples - start)
            )  # the last batch is filled up: programs want one size
            losses = self._trainer.measure(batch)[:, :counted]
            meter.add(losses, batch.sigma[:counted], torch.zeros((), device=losses.device))
        loss, by_brick, by_noise = meter.over(ranks).losses_of(self._trainer.shares)
        line = HeldOutMetrics(
            state.images, state.step, self._examples, _finite(loss), _all_finite(by_brick), _all_finite(by_noise)
        )
        if self._file:
            self._file.write(line)
            self._file.sync()
        return line

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def _finite(loss: float | None) -> float | None:
    return loss if loss is not None and math.isfinite(loss) else None


def _all_finite(losses: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: _finite(loss) for name, loss in losses.items()}
