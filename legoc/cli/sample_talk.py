"""What `legoc sample` says on stderr: what it is about to do, what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from legoc.draw.timeline import breaks_by_step, sigma_text
from legoc_runtime.contract.policy import configuration_name
from legoc_runtime.contract.samplers import SAMPLERS

if TYPE_CHECKING:
    from legoc_runtime.sampling.given import Given
    from legoc_runtime.sampling.plan import Plan

SHOWN_BREAKS = 6


def plan_lines(plan: Plan, macs_saved: float) -> list[str]:
    """The policy with its breaks, the configurations and what they save, the schedule."""
    table, settings = plan.reached, plan.settings
    title = SAMPLERS[settings.sampler].title
    lines = [f"{title}: {settings.steps} steps, {len(plan.evaluations)} evaluations, guidance {settings.guidance:g}"]
    if settings.guidance != 1 and settings.guidance_channels != "all":
        lines[0] += f" of the first {settings.guidance_channels} channels"
    if settings.guidance != 1 and settings.guidance_interval != "all":
        low, _, high = settings.guidance_interval.partition(",")
        guided = sum(level.guided for level in table.levels)
        lines[0] += f" from sigma {low} to {high} (at {guided} of {len(table.levels)} levels)"
    if settings.churn:
        lines[0] += f", churn {settings.churn:g} from sigma {settings.churn_min:g} to {settings.churn_max:g}"
    if settings.eta:
        lines[0] += f", eta {settings.eta:g}"
    if plan.canvas is not None:
        lines.append(plan.canvas.describe())
    if plan.given is not None:
        lines.append(_given_line(plan, plan.given))
    if plan.decoding is not None:
        lines.append(plan.decoding.describe())
    if plan.skips_nothing:
        lines.append(f"policy `{table.policy}` skips nothing on this schedule: every brick runs at every step")
        return lines
    lines.append(f"policy `{table.policy}` saves {macs_saved:.1%} of the multiply-accumulates")
    lines += [f"  {line}" for line in _break_lines(plan)]
    for configuration in table.distinct():
        levels = table.configurations.count(configuration)
        lines.append(f"  {configuration_name(configuration)} at {levels} of {len(table.levels)} noise levels")
    return lines


def _given_line(plan: Plan, given: Given) -> str:
    """What a call starts from, and how noisy that is made."""
    count = len(given.paths)
    images = str(given.paths[0]) if count == 1 else f"{count:,} images of {given.paths[0].parent}"
    first, sigma = plan.first_level.step, sigma_text(plan.first_level.sigma)
    kept = "" if given.anew is None else f"; the mask keeps {1 - given.anew.mean():.1%} of the pixels"
    return f"from {images}, at step {first} of {plan.settings.steps} (sigma {sigma}){kept}"


def _break_lines(plan: Plan) -> list[str]:
    breaks = breaks_by_step(plan.reached.breaks())
    lines = [f"{what} from step {step} (sigma {sigma_text(sigma)})" for step, sigma, what in breaks[:SHOWN_BREAKS]]
    if len(breaks) > SHOWN_BREAKS:
        lines.append(f"and {len(breaks) - SHOWN_BREAKS} further breaks, all in samples.json")
    return lines


def result_line(record: dict[str, Any], made: int) -> str:
    """Pictures made this time, their time, and the shares of work and time that the policy saved."""
    timing, count = record["timing"], made
    line = (
        f"{count:,} picture{'s' if count > 1 else ''} in {timing['seconds']:.1f} s "
        f"({timing['images_per_second']:.3g} images a second)"
    )
    if timing.get("decoding_seconds"):
        line += f", decoded in {timing['decoding_seconds']:.1f} s"
    if not timing["macs_saved"]:
        return line
    if timing["time_saved"] is None:
        return f"{line}; the whole stack never ran, so there is no time to compare with"
    shares = f"{timing['macs_saved']:.1%} of the MACs and {timing['time_saved']:.1%} of the time"
    return f"{line}; skipping saved {shares}"
