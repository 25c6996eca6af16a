"""What configurations take over the whole stack, in calls that alternate: a machine that slows down slows down all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch

from legoc_runtime.contract.canvas_request import on_grid
from legoc_runtime.contract.policy import Configuration, Policy
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.plan import make_plan
from legoc_runtime.sampling.run import OnCall, SamplingRun
from legoc_runtime.sampling.sampler import Stack

ROUNDS = 5
STEPS = 2
"""Of a schedule that is sampled for its time alone."""


def interleaved_times(
    stack: Stack,
    shape: StackShape,
    settings: SampleSettings,
    seeds: Sequence[int],
    policies: Sequence[Policy],
    *,
    device: str | torch.device = "cpu",
    rounds: int = ROUNDS,
    on_call: OnCall | None = None,
) -> dict[Configuration, float]:
    """What a call of each policy's configuration takes over one of the whole stack, for as many rows.

    A round samples every policy for two steps, one after the other; one more goes before, in which everything is
    compiled and allocated.

    Args:
        stack: runs the configurations.
        shape: its shape.
        settings: sampler, guidance, batch. A canvas is left out.
        seeds: the first batch of them is sampled.
        policies: each runs one configuration at all noise levels.
        device: where the stack's weights live.
        rounds: how many count.
        on_call: observer of the evaluations, for progress: of `rounds + 1` passes of every policy and of none.

    Returns:
        configuration -> the median over rounds of its time over the whole stack's in the same round; 1 for that.

    Raises:
        UsageError: a policy runs several configurations.
    """
    brief = replace(on_grid(settings), steps=STEPS, guidance_interval="all")
    found: dict[Configuration, list[float]] = {}
    for turn in range(rounds + 1):
        paces: dict[Configuration, float] = {}
        for policy in (Policy("none"), *policies):
            plan = make_plan(shape, policy, brief, tuple(seeds[: settings.batch]))
            configuration, *others = plan.configurations
            if others:
                raise UsageError(f"policy `{policy.name}` runs several configurations", help="time one at a time")
            run = SamplingRun(stack, plan, device=device)
            for _ in run.batches(settings.batch, on_call=on_call):
                pass
            paces[configuration] = run.timings[configuration].seconds_per_image
        if turn:
            for configuration, pace in paces.items():
                found.setdefault(configuration, []).append(pace / paces[shape.ids])
    return {configuration: median(ratios) for configuration, ratios in found.items()}
