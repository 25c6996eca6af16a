"""A sampling request made concrete, before any weight is read: schedule, truth table, evaluations, classes.

Torch-free: what can be refused is refused here, and pictures and cost stand on the same plan as the sampler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from legoc_runtime.contract.canvas import Canvas
from legoc_runtime.contract.canvas_request import canvas_of
from legoc_runtime.contract.policy import Configuration, Policy, TruthTable, tabulate
from legoc_runtime.contract.request import ClassRule, RandomClass, parse_channels, parse_interval
from legoc_runtime.contract.samplers import SAMPLERS, samplers_of
from legoc_runtime.contract.schedule import Evaluation, Level, check_guidance, evaluations, sampling_levels
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.classes import labels_of

if TYPE_CHECKING:
    from legoc_runtime.sampling.decoding import Decoding
    from legoc_runtime.sampling.given import Given


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be sampled.

    Attributes:
        shape: the stack.
        policy: the skip policy.
        settings: sampler, steps, guidance, churn.
        seeds: one picture each.
        labels: the class of every seed, None for an unconditional stack.
        table: the policy over the schedule.
        evaluations: the calls of the stack for one batch, in order; from a given image on those that are left.
        given: the images that sampling starts from, or None.
        canvas: where windows lie on pictures larger than the stack's grid; None makes pictures of the grid's size.
        decoding: how latents become pictures; None keeps what the stack makes.
    """

    shape: StackShape
    policy: Policy
    settings: SampleSettings
    seeds: tuple[int, ...]
    labels: tuple[int, ...] | None
    table: TruthTable
    evaluations: tuple[Evaluation, ...]
    given: Given | None = None
    canvas: Canvas | None = None
    decoding: Decoding | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of what the sampler makes: a picture, or a latent."""
        return (self.shape.channels, *(self.shape.grid if self.canvas is None else self.canvas.size))

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of what is written: a decoded latent, or what the sampler makes."""
        return self.image_shape if self.decoding is None else self.decoding.picture_shape

    @property
    def reached(self) -> TruthTable:
        """The truth table from the level that sampling begins at: what to say of the levels that run.

        `table` is over the whole schedule, which levels and evaluations count from.
        """
        first = self.first_level.step
        return replace(self.table, levels=self.table.levels[first:], configurations=self.table.configurations[first:])

    @property
    def skips_nothing(self) -> bool:
        """Whether every brick runs at every level, whatever the policy is called."""
        return all(configuration == self.table.bricks for configuration in self.configurations)

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """The configurations that run, in order of first use."""
        return tuple(dict.fromkeys(self.configuration_at(evaluation) for evaluation in self.evaluations))

    @property
    def first_level(self) -> Level:
        """The noise level that sampling begins at."""
        return self.table.levels[self.evaluations[0].level]

    def configuration_at(self, evaluation: Evaluation) -> Configuration:
        """What runs at an evaluation: the configuration of the level that it evaluates."""
        return self.table.configurations[evaluation.level]


def make_plan(
    shape: StackShape,
    policy: Policy,
    settings: SampleSettings,
    seeds: Sequence[int],
    classes: ClassRule | None = None,
    given: Given | None = None,
    decoding: Decoding | None = None,
) -> Plan:
    """Check a request and make it concrete.

    Args:
        shape: the stack.
        policy: from `Manifest.policy(name)`.
        settings: the spec's `sample:` section with the request's changes.
        seeds: from `parse_seeds`.
        classes: from `parse_classes`; None draws each seed's class from its own stream.
        given: from `given.read_given`; None starts from noise alone.
        decoding: from `decoding.make_decoding`; None keeps what the stack makes.

    Raises:
        UsageError: a setting out of range, guidance or classes for an unconditional stack, a policy that does
            not fit the stack or leaves no brick, a sampler of another diffusion, a canvas that does not fit.
    """
    check_settings(settings, shape.classes)
    check_channels(settings, shape.channels)
    check_sampler(settings, shape)
    labels = labels_of(classes or RandomClass(), seeds, shape.classes)
    levels = sampling_levels(settings, shape.diffusion)
    table = tabulate(policy, shape.ids, levels)
    first = given.first_step(settings.steps) if given is not None else 0
    calls = tuple(call for call in evaluations(settings.sampler, settings.steps) if call.step >= first)
    canvas = canvas_of(shape, settings)
    return Plan(shape, policy, settings, tuple(seeds), labels, table, calls, given, canvas, decoding)


def check_sampler(settings: SampleSettings, shape: StackShape) -> None:
    """Refuse a sampler of another diffusion, and churn where the sampler takes none.

    Raises:
        UsageError: naming the setting.
    """
    facts, own = SAMPLERS[settings.sampler], samplers_of(shape.diffusion.kind)
    if settings.sampler not in own:
        raise UsageError(
            f"the sampler `{settings.sampler}` belongs to {facts.diffusion}; the stack's diffusion is "
            f"{shape.diffusion.kind}",
            help=f"its samplers are {', '.join(own)}",
        )
    if settings.churn and not facts.churns:
        raise UsageError(
            f"the sampler `{settings.sampler}` adds no noise, and churn is {settings.churn:g}",
            help="pass --churn 0, or --sampler heun",
        )
    if settings.eta and not facts.takes_eta:
        raise UsageError(
            f"the sampler `{settings.sampler}` takes no eta, and eta is {settings.eta:g}",
            help="pass --eta 0, or --sampler ddim" if "ddim" in own else "pass --eta 0",
        )


def check_channels(settings: SampleSettings, channels: int) -> None:
    """Refuse guidance on more channels than there are, and an interval that is none.

    Raises:
        UsageError: naming the setting.
    """
    parse_interval(settings.guidance_interval)
    guided = parse_channels(settings.guidance_channels)
    if guided is not None and guided > channels:
        raise UsageError(
            f"guidance is asked for on {guided} channels; an image has {channels}",
            help=f"pass --guidance-channels all, or a number up to {channels}",
        )


def check_settings(settings: SampleSettings, classes: int | None) -> None:
    """Refuse settings that mean nothing, and guidance where there is no class to guide to.

    Raises:
        UsageError: naming the setting.
    """
    check_guidance(settings.guidance)
    if classes is None and settings.guidance != 1:
        raise UsageError(
            f"this stack is unconditional: guidance {settings.guidance:g} has no class to guide to",
            help="leave --guidance out, or set it to 1",
        )
    for name, value in (
        ("churn", settings.churn),
        ("churn-min", settings.churn_min),
        ("churn-max", settings.churn_max),
    ):
        if not (value >= 0 and math.isfinite(value)):
            raise UsageError(f"--{name} must be 0 or more, got {value:g}", help="as `sample:` in the spec takes it")
    if not 0 <= settings.eta <= 1:
        raise UsageError(f"--eta must be 0 to 1, got {settings.eta:g}", help="0 is deterministic, 1 is DDPM's noise")
    if not (settings.churn_noise > 0 and math.isfinite(settings.churn_noise)):
        raise UsageError(
            f"--churn-noise must be more than 0, got {settings.churn_noise:g}", help="1 is EDM's own; 1.003 is usual"
        )
    if settings.churn_min > settings.churn_max:
        raise UsageError(
            f"--churn-min {settings.churn_min:g} lies above --churn-max {settings.churn_max:g}",
            help="swap them, or leave --churn out",
        )
