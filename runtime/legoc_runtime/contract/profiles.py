"""Power-function profiles of averages, and sums of some that make another (EDM2, Karras et al. 2024, section 3).

A profile says how much the weights of every earlier step count in an average at step t: in proportion to step^gamma.
People name it by its width sigma_rel, the standard deviation of that density relative to t. Averages of two widths,
kept at some steps of a run, give by least squares those of any other width, after the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_WIDTH = 0.28
"""A density that is even from the first step on has 1 / sqrt(12), which gamma = 0 is."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How an average at a step weighs the steps before it.

    Attributes:
        step: the step, from 1.
        gamma: exponent of the density, above 0.
    """

    step: int
    gamma: float

    def dot(self, other: Profile) -> float:
        """The inner product of both densities, each of which integrates to 1 over its steps."""
        end = min(self.step, other.step)
        a, b = self.gamma + 1, other.gamma + 1
        # ratios first: powers of large step numbers overflow
        overlap = (end / self.step) ** a * (end / other.step) ** b
        return a * b / (a + b - 1) * overlap / end


def gamma_of(width: float) -> float:
    """The exponent of a width: sigma_rel^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)).

    Args:
        width: sigma_rel, above 0 and up to MAX_WIDTH.
    """
    low, high = 0.0, 1.0
    while _width_squared(high) > width**2:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _width_squared(middle) > width**2 else (low, middle)
    return (low + high) / 2


def decay(step: int, gamma: float) -> float:
    """What is left of the average when step `step` (from 1) joins it: (1 - 1/t)^(gamma + 1); 0 at the first."""
    return (1 - 1 / step) ** (gamma + 1)


def gram(profiles: Sequence[Profile], others: Sequence[Profile]) -> list[list[float]]:
    """The inner products of profiles with others, a row a profile."""
    return [[one.dot(other) for other in others] for one in profiles]


def _width_squared(gamma: float) -> float:
    return (gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3))
