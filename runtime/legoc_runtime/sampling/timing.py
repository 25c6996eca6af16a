"""How long each configuration took, to set the time that a policy saves beside the work it saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.sampling.plan import Plan


@dataclass(slots=True)
class Timing:
    """One configuration's calls.

    The first call with a number of images may compile or allocate. Such calls are kept apart, and count only when
    there were no others.

    Attributes:
        calls: calls of the stack.
        images: images over all calls (guidance's second row of an image is not a second image).
        seconds: seconds over all calls.
        first_seconds: seconds over the first calls with a number of images.
        paces: seconds an image of every other call.
        sizes: the numbers of images that were met.
    """

    calls: int = 0
    images: int = 0
    seconds: float = 0.0
    first_seconds: float = 0.0
    paces: list[float] = field(default_factory=list[float])
    sizes: set[int] = field(default_factory=set[int])

    def add(self, images: int, seconds: float) -> None:
        """Count a call."""
        self.calls += 1
        self.images += images
        self.seconds += seconds
        if images in self.sizes:
            self.paces.append(seconds / images)
        else:
            self.sizes.add(images)
            self.first_seconds += seconds

    @property
    def seconds_per_image(self) -> float:
        """Seconds of one evaluation of one image: the median, which a busy moment of the machine does not move."""
        return median(self.paces) if self.paces else self.seconds / self.images


def time_saved(plan: Plan, timings: Mapping[Configuration, Timing]) -> float | None:
    """Share of the time of sampling without skips that the policy saves, from measured calls.

    Args:
        plan: what was sampled.
        timings: what each configuration took.

    Returns:
        1 - (time of the evaluations) / (time of as many evaluations of the whole stack); None when the
        whole stack never ran. Below 0 when skipping cost time.
    """
    full = timings.get(plan.table.bricks)
    if full is None:
        return None
    spent = sum(timings[plan.configuration_at(evaluation)].seconds_per_image for evaluation in plan.evaluations)
    return 1 - spent / (len(plan.evaluations) * full.seconds_per_image)
