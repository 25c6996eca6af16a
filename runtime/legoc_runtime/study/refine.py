"""What each brick makes of a noised image (paper, Figures 5 and 6), and how far that is from the clean one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data.training_set import TrainingSet
from legoc_runtime.errors import UsageError
from legoc_runtime.randomness import Purpose, normal
from legoc_runtime.stack import BrickStack


def prefixes(ids: Sequence[str]) -> tuple[Configuration, ...]:
    """The configurations whose estimates are those of each brick in the whole stack, bottom to top."""
    return tuple(tuple(ids[: i + 1]) for i in range(len(ids)))


@dataclass(frozen=True, slots=True)
class Examples:
    """Clean images.

    Attributes:
        indices: their places in the set that they are of.
        clean: float32 [N, C, H, W], data in [-1, 1].
        labels: their classes int64 [N]; None for an unconditional stack.
    """

    indices: tuple[int, ...]
    clean: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.indices)


def examples(dataset: TrainingSet, shape: StackShape, indices: Sequence[int]) -> Examples:
    """Some images of a set, none mirrored.

    Args:
        dataset: the set.
        shape: the stack that will see them.
        indices: which ones.

    Raises:
        UsageError: the set is not of the stack's size, or has not so many images.
        RunError: one cannot be read.
    """
    dataset.check_fits(shape)
    if beyond := [index for index in indices if index >= len(dataset)]:
        raise UsageError(f"there is no image {beyond[0]} among {len(dataset):,}", help="images count from 0")
    clean = torch.tensor(dataset.clean(indices, indices, 0, flip=False))
    if shape.classes is None:
        return Examples(tuple(indices), clean, None)
    return Examples(tuple(indices), clean, torch.tensor([dataset.label(index) for index in indices]))


def noised(shown: Examples, sigma: float, seed: int) -> Tensor:
    """Images with noise of a level, float32 [N, C, H, W]: the same noise of an image at every level, scaled.

    Args:
        shown: the clean images.
        sigma: noise level.
        seed: an image's noise is drawn from its place and this seed.
    """
    drawn = np.stack([normal(seed, Purpose.NOISE, tuple(shown.clean.shape[1:]), index) for index in shown.indices])
    return shown.clean + sigma * torch.tensor(drawn)


@torch.no_grad()
def estimates(stack: BrickStack, shown: Examples, noisy: Tensor, sigma: float) -> tuple[Tensor, ...]:
    """What each brick makes of noised images, bottom to top, each float32 [N, C, H, W] on the CPU.

    Args:
        stack: has the configurations of `prefixes`.
        shown: the clean images, for their classes.
        noisy: the same with noise [N, C, H, W].
        sigma: noise level.
    """
    device, channels = stack.store.device, stack.shape.channels
    labels = None if shown.labels is None else shown.labels.to(device)
    x, level = noisy.to(device), torch.tensor(sigma, dtype=torch.float32)
    found = (stack(x, level, labels, configuration=ids) for ids in prefixes(stack.shape.ids))
    return tuple(estimate[:, :channels].float().cpu() for estimate in found)


def errors(
    stack: BrickStack,
    shown: Examples,
    sigma: float,
    seed: int,
    *,
    batch: int,
    done: Callable[[int], None] = lambda images: None,
) -> dict[str, float]:
    """How far each brick's estimates are from the clean images at a noise level.

    Args:
        stack: has the configurations of `prefixes`.
        shown: the clean images.
        sigma: noise level.
        seed: of the noise.
        batch: images at once.
        done: told of every batch how many images it had.

    Returns:
        brick -> root mean square over images, channels and pixels, data in [-1, 1].
    """
    squared = torch.zeros(len(stack.shape.ids), dtype=torch.float64)
    for start in range(0, len(shown), batch):
        rows = slice(start, start + batch)
        labels = None if shown.labels is None else shown.labels[rows]
        some = Examples(shown.indices[rows], shown.clean[rows], labels)
        for i, estimate in enumerate(estimates(stack, some, noised(some, sigma, seed), sigma)):
            squared[i] += (estimate - some.clean).double().square().sum()
        done(len(some))
    means = (squared / shown.clean.numel()).sqrt()
    return {id: float(mean) for id, mean in zip(stack.shape.ids, means, strict=True)}
