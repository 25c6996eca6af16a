"""Everything random about a training step, as a function of (seed, position of the image in the run).

The same position gives the same image, flip, label, noise level, noise and windows, whatever the batch, the
worker or the number of processes. All of it is drawn on the CPU: it does not depend on the device either.

Legend: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from legoc_runtime.contract.noise_law import level_at
from legoc_runtime.contract.settings import Patches
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data.order import index_of
from legoc_runtime.data.training_set import TrainingSet
from legoc_runtime.diffusion.objective import objective_of
from legoc_runtime.randomness import Purpose, normal, stream
from legoc_runtime.training.curriculum import Levels
from legoc_runtime.training.windows import draw_windows


@dataclass(frozen=True, slots=True)
class Batch:
    """What one training step sees.

    Attributes:
        start: position of the first image in the run.
        clean: images in [-1, 1], float32 [N, C, H, W].
        noisy: clean + sigma * noise, float32 [N, C, H, W].
        sigma: noise levels, float32 [N].
        labels: classes, int64 [N], the null label where dropped; None for an unconditional stack.
        windows: brick id -> windows that it runs, ascending, int64 [N, windows_trained]; bricks that run all
            of their windows are left out.
    """

    start: int
    clean: Tensor
    noisy: Tensor
    sigma: Tensor
    labels: Tensor | None
    windows: dict[str, Tensor]

    def to(self, device: torch.device) -> Batch:
        """This batch on a device; from the CPU's pinned memory, without waiting for the copy."""
        if device.type == "cpu":
            return self

        def moved(tensor: Tensor) -> Tensor:
            if device.type == "cuda":
                tensor = tensor.pin_memory()
            return tensor.to(device, non_blocking=True)

        return Batch(
            self.start,
            moved(self.clean),
            moved(self.noisy),
            moved(self.sigma),
            None if self.labels is None else moved(self.labels),
            {brick: moved(index) for brick, index in self.windows.items()},
        )

    def split(self, parts: int) -> tuple[Batch, ...]:
        """This batch in so many parts of equal size, in order; views of its tensors."""
        size, rest = divmod(len(self.sigma), parts)
        assert rest == 0, f"{parts} parts do not share {len(self.sigma)} images"
        return tuple(self._part(slice(first, first + size)) for first in range(0, parts * size, size))

    def _part(self, rows: slice) -> Batch:
        return Batch(
            self.start + rows.start,
            self.clean[rows],
            self.noisy[rows],
            self.sigma[rows],
            None if self.labels is None else self.labels[rows],
            {brick: index[rows] for brick, index in self.windows.items()},
        )


def _tensor(array: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(array)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True, slots=True)
class BatchMaker:
    """Makes the batch at any position of a run.

    Attributes:
        dataset: the images.
        shape: the stack.
        seed: the run's seed.
        label_dropout: share of labels replaced by the null label, in [0, 1].
        flip: whether images are flipped horizontally at random.
        patches: how bricks draw the windows that they train on.
        levels: position of a step's first image -> the noise levels that it draws from, where they are not all.
    """

    dataset: TrainingSet
    shape: StackShape
    seed: int
    label_dropout: float
    flip: bool
    patches: Patches = "independent"
    levels: Callable[[int], Levels | None] | None = None

    def make(self, start: int, size: int, *, skip: int = 0) -> Batch:
        """Images of the step that begins at position `start`. Raises RunError if one does not decode.

        Args:
            start: position of the step's first image, over all processes.
            size: how many images.
            skip: how many of the step's come before them.
        """
        positions = range(start + skip, start + skip + size)
        indices = [index_of(self.seed, position, len(self.dataset)) for position in positions]
        clean = self.dataset.clean(indices, positions, self.seed, flip=self.flip)
        sigma = self._sigma(start, positions)
        noise = np.stack([normal(self.seed, Purpose.NOISE, clean.shape[1:], position) for position in positions])
        noisy = (clean + sigma[:, None, None, None] * noise).astype(np.float32, copy=False)
        labels = self._labels(indices, positions)
        drawn = [draw_windows(self.shape, self.patches, self.seed, position) for position in positions]
        windows = {brick: _tensor(np.stack([each[brick] for each in drawn])) for brick in drawn[0]}
        return Batch(
            positions.start,
            _tensor(clean),
            _tensor(noisy),
            _tensor(sigma),
            None if labels is None else _tensor(labels),
            windows,
        )

    def _sigma(self, start: int, positions: range) -> NDArray[np.float32]:
        """Noise levels: all that training draws, or those that the step's bricks run at under a policy."""
        some = self.levels(start) if self.levels else None
        if some is None:
            objective = objective_of(self.shape.diffusion)
            found = [objective.noise_level(self.seed, position) for position in positions]
        else:
            shares = [float(stream(self.seed, Purpose.NOISE_LEVEL, position).random()) for position in positions]
            found = [level_at(some.at(share), self.shape.diffusion) for share in shares]
        return np.array(found, dtype=np.float32)

    def _labels(self, indices: Sequence[int], positions: range) -> NDArray[np.int64] | None:
        if self.shape.classes is None:
            return None
        labels = np.array([self.dataset.label(index) for index in indices], dtype=np.int64)
        for row, position in enumerate(positions):
            if stream(self.seed, Purpose.LABEL_DROP, position).random() < self.label_dropout:
                labels[row] = self.shape.classes
        return labels
