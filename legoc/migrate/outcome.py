"""What was found where both stacks ran. Torch-free, so that reports are."""

from __future__ import annotations

from dataclasses import dataclass

from legoc.migrate.expected import Expected

IMAGES = 4
BOUND = 1e-11
"""The most by which estimates may differ that must be equal, as a share of an image's largest value.

A sum with further zeros may be rounded elsewhere, which is 1e-16 in float64; the rest is room for many layers.
"""


@dataclass(frozen=True)
class Outcome:
    """One configuration, run on both sides.

    Attributes:
        expected: what must hold.
        kind: the file of weights that it was run with.
        is_equal: whether both estimates are the same to the last bit; None where there is nothing to compare.
        difference: the largest difference, as a share of the largest value of the old estimate of that image;
            None likewise.
        is_finite: whether the migrated stack's estimate is a number everywhere.
    """

    expected: Expected
    kind: str
    is_equal: bool | None
    difference: float | None
    is_finite: bool

    @property
    def holds(self) -> bool:
        """Whether what must hold does."""
        if not self.is_finite:
            return False
        if not self.expected.must_be_equal:
            return True
        return self.difference is not None and self.difference <= BOUND
