"""A set in two: what is trained on, and what is held out to measure on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data.labels import Labels
from legoc_runtime.data.training_set import TrainingSet, spread_indices
from legoc_runtime.errors import UsageError
from legoc_runtime.randomness import Purpose, stream

SPLIT_SEED = 2**63
"""Above the seeds of runs: what is held out depends on the set and the share alone, so that runs compare on the same
images whatever their seeds, and a run that begins with another one's weights has seen none of them."""


class Part(TrainingSet):
    """Some examples of a set.

    Args:
        whole: the set.
        indices: which of its examples, one or more.
    """

    def __init__(self, whole: TrainingSet, indices: Sequence[int]) -> None:
        self._whole = whole
        self._indices = indices
        self.path, self.height, self.width, self.channels = whole.path, whole.height, whole.width, whole.channels
        classes = whole.labels.classes
        some = None if classes is None else tuple(classes[index] for index in indices)
        self.labels = Labels(some, whole.labels.names, whole.labels.why_absent)

    def __len__(self) -> int:
        return len(self._indices)

    def name(self, index: int) -> str:
        """The name of an example inside the whole set."""
        return self._whole.name(self._indices[index])

    def where(self, index: int) -> str:
        """How errors call an example."""
        return self._whole.where(self._indices[index])

    def describe(self) -> str:
        """One line for people."""
        return f"{len(self):,} of {self._whole.describe()}"

    def compute_fingerprint(self) -> str:
        """That of the whole set: which part it is follows from a setting, which is held against the run's own."""
        return self._whole.fingerprint

    def clean(self, indices: Sequence[int], positions: Sequence[int], seed: int, *, flip: bool) -> NDArray[np.float32]:
        """Examples as a stack trains on them, float32 [N, channels, height, width]. Raises what the set raises."""
        return self._whole.clean([self._indices[index] for index in indices], positions, seed, flip=flip)

    def spread(self, count: int) -> NDArray[np.float32]:
        """At most `count` examples, evenly spread over the part, float32 [N, channels, height, width]."""
        chosen = spread_indices(len(self), count)
        return self.clean(chosen, range(len(chosen)), SPLIT_SEED, flip=False)

    def check_grid(self, shape: StackShape) -> None:
        """Whether examples are of the stack's channels, height and width. Raises UsageError."""
        self._whole.check_grid(shape)

    def check_flips(self) -> None:
        """Whether mirror images can be had. Raises UsageError where not."""
        self._whole.check_flips()


def split(dataset: TrainingSet, share: float) -> tuple[TrainingSet, TrainingSet | None]:
    """What is trained on, and what is held out; the same for every run on the set.

    An example is held out by its index: one that is at some share is at every larger one too.

    Args:
        dataset: the examples.
        share: about how many of them are held out, at least 0 and below 1; 0 holds out none.

    Raises:
        UsageError: one side would have no example.
    """
    if share == 0:
        return dataset, None
    drawn = stream(SPLIT_SEED, Purpose.ORDER).random(len(dataset)) < share
    kept, held_out = (np.flatnonzero(side).tolist() for side in (~drawn, drawn))
    if not kept or not held_out:
        raise UsageError(
            f"held_out is {share:g}, and of the {len(dataset):,} images {len(held_out):,} would be held out",
            help="choose a share that leaves images on both sides",
        )
    return Part(dataset, kept), Part(dataset, held_out)
