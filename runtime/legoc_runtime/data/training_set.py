"""What training asks of its data, whether it is pictures or latents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data.labels import Labels
from legoc_runtime.errors import UsageError
from legoc_runtime.randomness import Purpose, stream


class TrainingSet(ABC):
    """Examples of one size by index, labelled or not. Reading may be done from several threads.

    Attributes:
        path: where it is.
        labels: classes of the examples, or why there are none.
        height: rows of every example.
        width: columns of every example.
        channels: channels of every example.
    """

    path: Path
    labels: Labels
    height: int
    width: int
    channels: int

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, index: int) -> str:
        """The name of an example inside the set."""

    @abstractmethod
    def describe(self) -> str:
        """One line for people."""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 that tells whether a run goes on with the data that it began with."""
        return self.compute_fingerprint()

    @abstractmethod
    def compute_fingerprint(self) -> str:
        """The fingerprint; reads what it must."""

    @abstractmethod
    def clean(self, indices: Sequence[int], positions: Sequence[int], seed: int, *, flip: bool) -> NDArray[np.float32]:
        """Examples as a stack trains on them, float32 [N, channels, height, width].

        Args:
            indices: which ones.
            positions: the place of each in the run, which what is random about it is a function of.
            seed: the run's seed.
            flip: whether half of the positions, at random, show the mirror image.

        Raises:
            RunError: one cannot be read.
        """

    @abstractmethod
    def spread(self, count: int) -> NDArray[np.float32]:
        """At most `count` examples as a stack trains on them, evenly spread over the set, [N, channels, height, width].

        Raises:
            RunError: one cannot be read.
        """

    def where(self, index: int) -> str:
        """How errors call an example."""
        return f"{self.path}: {self.name(index)}"

    @property
    def labelled(self) -> bool:
        """Whether every example has a class."""
        return self.labels.classes is not None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, or None where there are none or the set does not tell."""
        return self.labels.names

    def label(self, index: int) -> int | None:
        """The class of an example, or None in a set without labels."""
        classes = self.labels.classes
        return None if classes is None else classes[index]

    def labels_in_words(self) -> str:
        """How many classes there are, or why there are none."""
        if self.labels.classes is None:
            return f"no labels ({self.labels.why_absent})"
        return f"{len(set(self.labels.classes))} classes"

    def check_fits(self, shape: StackShape, *, flip: bool = False) -> None:
        """Whether a stack can train on this set.

        Args:
            shape: the stack.
            flip: whether it trains on mirror images too.

        Raises:
            UsageError: channels or size differ from the stack's, labels are missing, one is out of range, or there are
                no mirror images.
        """
        self.check_grid(shape)
        if flip:
            self.check_flips()
        if shape.classes is not None:
            self._check_labels(shape.classes)

    @abstractmethod
    def check_grid(self, shape: StackShape) -> None:
        """Whether examples are of the stack's channels, height and width. Raises UsageError."""

    @abstractmethod
    def check_flips(self) -> None:
        """Whether mirror images can be had. Raises UsageError where not."""

    def _check_labels(self, classes: int) -> None:
        labels = self.labels
        if labels.classes is None:
            raise UsageError(
                f"the stack has {classes} classes and {self.path} has no labels: {labels.why_absent}",
                help="give the spec `conditioning: {classes: null}`, or label the images",
            )
        highest = max(labels.classes)
        if highest >= classes:
            first = next(i for i, label in enumerate(labels.classes) if label >= classes)
            raise UsageError(
                f"{self.where(first)} is of class {labels.classes[first]}, the stack has classes 0 to {classes - 1}",
                help=f"give the spec `conditioning: {{classes: {highest + 1}}}`, or mend the labels",
            )


def mirrored(seed: int, position: int) -> bool:
    """Whether the example at a position of the run shows its mirror image, where a run flips at all."""
    return bool(stream(seed, Purpose.FLIP, position).random() < 0.5)


def spread_indices(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spread over a set of `length`."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).astype(int)).tolist()
