"""What an extractor is: a named function from pictures to features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

INCEPTION = "inception"
"""Name of the one extractor whose numbers are FID, sFID, KID and Inception Score."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features of N pictures.

    Attributes:
        pooled: float32 [N,D], one vector a picture.
        spatial: float32 [N,S], features that keep their place, flattened as [rows, columns, channels]; None where the
            extractor has none.
        logits: float32 [N,K] of the extractor's classes; None where it classifies nothing.
    """

    pooled: Tensor
    spatial: Tensor | None
    logits: Tensor | None

    def cpu(self) -> Features:
        """The same on the CPU."""
        return Features(
            self.pooled.cpu(),
            None if self.spatial is None else self.spatial.cpu(),
            None if self.logits is None else self.logits.cpu(),
        )


class Extractor(Protocol):
    """A named function from pictures to features. Numbers made with different extractors cannot be compared."""

    @property
    def name(self) -> str:
        """Its name, which every number made with it carries."""
        ...

    @property
    def fingerprint(self) -> str:
        """What tells it from every other one, weights included: features are cached under it."""
        ...

    @property
    def dimensions(self) -> int:
        """Features of a picture."""
        ...

    def describe(self) -> str:
        """A line for people: name and what kind of features."""
        ...

    def __call__(self, images: Tensor) -> Features:
        """Features of pictures uint8 [N,3,H,W], on the CPU."""
        ...
