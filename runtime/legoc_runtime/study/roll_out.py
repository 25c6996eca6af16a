"""Roll policies out from the same seeds and measure what they do to the final pictures, and how long they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from legoc_runtime.contract.canvas_request import on_grid
from legoc_runtime.contract.policy import Configuration, Policy
from legoc_runtime.contract.request import ClassRule
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.sampling.plan import Plan, make_plan
from legoc_runtime.sampling.run import OnCall, SamplingRun
from legoc_runtime.sampling.sampler import Stack

GUIDED_ROWS = 2
"""Rows that an image takes in a call where guidance acts: with its class and without."""


@dataclass(frozen=True, slots=True)
class RollOut:
    """A policy, sampled.

    Attributes:
        pictures: final pictures float32 [N, C, H, W], in the order of the seeds.
        seconds: what a picture takes here: the median of each configuration's calls, over all its calls.
        rows: configuration -> rows that an image takes in all its calls.
    """

    pictures: Tensor
    seconds: float
    rows: Mapping[Configuration, int]


class RollOuts:
    """Policies over one set of seeds.

    The noise of a seed is the same whatever the policy, so that what differs from the pictures without skipping is
    what was left out, and nothing else.

    Attributes:
        seeds: one picture each.
        whole: sampled without skipping.
    """

    def __init__(
        self,
        stack: Stack,
        shape: StackShape,
        settings: SampleSettings,
        seeds: Sequence[int],
        classes: ClassRule | None = None,
        *,
        device: str | torch.device = "cpu",
        on_call: OnCall | None = None,
    ) -> None:
        """Sample without skipping, which everything is held against.

        Args:
            stack: a stack that runs every configuration that policies will reach.
            shape: its shape.
            settings: sampler, steps, guidance, batch. A canvas is left out: pictures are of the grid's size.
            seeds: one picture each, one or more.
            classes: the class of every seed; None draws each from its own stream.
            device: where the stack's weights live.
            on_call: observer of the evaluations, for progress.

        Raises:
            UsageError: settings that mean nothing for this stack.
            RunError: a picture is not finite.
        """
        self.seeds = tuple(seeds)
        self._stack, self._shape, self._settings, self._classes = stack, shape, on_grid(settings), classes
        self._device, self._on_call = device, on_call
        self._times: dict[Configuration, list[float]] = {}
        self._whole = 0.0
        self.whole = self.roll(Policy("none"))

    def error(self, policy: Policy) -> float:
        """How far a policy's pictures are from those without skipping.

        Returns:
            root mean square over pictures, channels and pixels, in the units of the data, [-1, 1] for colours.

        Raises:
            UsageError: the policy does not fit the stack.
            RunError: a picture is not finite.
        """
        return float(self.squared_errors(self.roll(policy)).mean().sqrt())

    def squared_errors(self, found: RollOut) -> Tensor:
        """Mean squared error of every picture to the one of its seed without skipping, float64 [N]."""
        return (found.pictures - self.whole.pictures).double().square().mean(dim=(1, 2, 3))

    def time_a_row(self, configuration: Configuration) -> float:
        """What a call of a configuration takes for one row, over what one of the whole stack takes.

        The median over the roll-outs that ran it. Both times are of the same roll-out where it ran the whole stack too,
        so that a machine that slows down for a while does not show.

        Raises:
            KeyError: no roll-out ran it.
        """
        return median(self._times[configuration])

    def roll(self, policy: Policy) -> RollOut:
        """Sample under a policy.

        Raises:
            UsageError: the policy does not fit the stack.
            RunError: a picture is not finite.
        """
        plan = make_plan(self._shape, policy, self._settings, self.seeds, self._classes)
        run = SamplingRun(self._stack, plan, device=self._device)
        pictures = torch.cat([batch.pictures for batch in run.batches(self._settings.batch, on_call=self._on_call)])
        rows = {configuration: _rows(plan, configuration) for configuration in run.timings}
        calls = {c: sum(plan.configuration_at(call) == c for call in plan.evaluations) for c in run.timings}
        seconds = {c: timing.seconds_per_image * calls[c] for c, timing in run.timings.items()}
        paces = {c: seconds[c] / rows[c] for c in run.timings}
        # where this roll-out did not run the whole stack, the last one that did says what it takes
        self._whole = whole = paces.get(self._shape.ids, self._whole)
        for configuration, pace in paces.items():
            self._times.setdefault(configuration, []).append(pace / whole)
        return RollOut(pictures, sum(seconds.values()), rows)


def _rows(plan: Plan, configuration: Configuration) -> int:
    """Rows that an image takes in all calls of a configuration."""
    levels = (
        plan.table.levels[call.level] for call in plan.evaluations if plan.configuration_at(call) == configuration
    )
    return sum(GUIDED_ROWS if level.guided else 1 for level in levels)
