"""Training for skipping: the bands of noise levels in which a policy runs the same bricks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.noise_law import share_below
from legoc_runtime.contract.policy import Policy, TruthTable, builtin_policy, tabulate
from legoc_runtime.contract.schedule import sampling_levels
from legoc_runtime.contract.settings import Band, Drop

if TYPE_CHECKING:
    from legoc.spec.written_train import Dropping

DEFAULT_RATE = 0.5


def resolve_drop(written: Dropping, spec: StackSpec) -> Drop:
    """What training leaves out: the policy over the schedule that the spec samples with."""
    assert written.policy is not None
    shape, sample = spec.shape, spec.sample
    levels = sampling_levels(sample, shape.diffusion)
    table = tabulate(_policy(written.policy, spec), shape.ids, levels)
    rate = DEFAULT_RATE if written.rate is None else written.rate
    return Drop(written.policy, float(rate), tuple(_bands(table, spec)))


def _policy(name: str, spec: StackSpec) -> Policy:
    if name == "default":
        return Policy("default", tuple(spec.default_skips.items()))
    shape = spec.shape
    policy = spec.policies.get(name) or builtin_policy(name, shape.bricks, pretrained=shape.pretrained)
    assert policy is not None, "a spec without errors names policies that there are"
    return policy


def _bands(table: TruthTable, spec: StackSpec) -> list[Band]:
    """A band a run of the table; between two of them the border is halfway in the logarithm of sigma."""
    runs, levels = table.runs(), table.levels
    borders = [math.sqrt(levels[run.start - 1].sigma * levels[run.start].sigma) for run in runs[1:]]
    below = [1.0, *(share_below(sigma, spec.shape.diffusion) for sigma in borders), 0.0]
    return [Band(run.configuration, high - low) for run, high, low in zip(runs, below[:-1], below[1:], strict=True)]
