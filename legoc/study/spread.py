"""A number over several sets of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from legoc.study.table import number


@dataclass(frozen=True)
class Spread:
    """A number over several sets of seeds: all three are the same where there is one.

    Attributes:
        min: the least.
        mean: the mean.
        max: the most.
    """

    min: float
    mean: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """That of one value a set, one or more."""
        return cls(min(values), fmean(values), max(values))

    def text(self) -> str:
        """The mean, and the range where there is one."""
        if self.min == self.max:
            return number(self.mean)
        return f"{number(self.mean)} ({number(self.min)} to {number(self.max)})"
