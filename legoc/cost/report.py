"""The cost of a build as data: brick by brick, and policy by policy over a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from legoc.cost import counts
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import Break, Policy, tabulate
from legoc_runtime.contract.schedule import edm_levels, heun_evaluations
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError

COST_VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True, slots=True)
class BrickCost:
    """One brick.

    Attributes:
        id: its id.
        window: height and width of a window, in pixels.
        receptive_field: side of a token, in pixels.
        windows: windows of an image.
        windows_trained: windows of an image that a training step runs.
        tokens: tokens of a window.
        depth: blocks.
        width: features of a token.
        parameters: trainable parameters.
        macs: MACs of a forward pass of one image.
        share: `macs` over those of the whole stack, 0 to 1.
    """

    id: str
    window: tuple[int, int]
    receptive_field: int
    windows: int
    windows_trained: int
    tokens: int
    depth: int
    width: int
    parameters: int
    macs: int
    share: float


@dataclass(frozen=True, slots=True)
class PolicyCost:
    """One skip policy over the schedule.

    Attributes:
        policy: its name.
        macs: MACs of sampling one image.
        saving: share of the MACs of sampling without skips that is saved, 0 to 1.
        skipped: brick id -> noise levels at which it is left out, for bricks that are left out somewhere.
        breaks: where a brick starts or stops running, with the noise level.
    """

    policy: str
    macs: int
    saving: float
    skipped: dict[str, int]
    breaks: tuple[Break, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a stack. All MACs are for one image.

    Attributes:
        name: the stack's name.
        grid: height and width, in pixels.
        channels: channels of the image.
        classes: number of classes, or None.
        parameters: trainable parameters.
        shared_parameters: those of the embedders that all bricks share.
        macs: MACs of a forward pass.
        shared_macs: those of the embedders.
        training_macs: MACs of a training image (`counts.training_macs`).
        bricks: the bricks, bottom to top.
        steps: noise levels of the sampling schedule.
        evaluations: forward passes of the sampler (Heun).
        guided: whether every evaluation runs twice, with the label and with the null label.
        policies: the policies that were asked for; `none` is the yardstick of their savings.
    """

    name: str
    grid: tuple[int, int]
    channels: int
    classes: int | None
    parameters: int
    shared_parameters: int
    macs: int
    shared_macs: int
    training_macs: int
    bricks: tuple[BrickCost, ...]
    steps: int
    evaluations: int
    guided: bool
    policies: tuple[PolicyCost, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data, with its version and the unit's meaning."""
        return {"cost_version": COST_VERSION, "flops_per_mac": counts.FLOPS_PER_MAC, **asdict(self)}


def price(
    manifest: Manifest,
    *,
    policies: Sequence[str] = (),
    steps: int | None = None,
    guidance: float | None = None,
) -> Cost:
    """Price a build.

    Args:
        manifest: the build; of a spec, `legoc.build.compile_spec(spec)` gives it.
        policies: names of the policies to price; empty prices `none`, `halfway` where there are two bricks or
            more, and all that the spec declares.
        steps: noise levels of the schedule; None takes the spec's `sample: {steps}`.
        guidance: scale of classifier-free guidance; 1 is none; None takes the spec's.

    Raises:
        UsageError: no such policy or schedule, or guidance of a stack without classes.
    """
    shape = manifest.shape
    steps = manifest.sample.steps if steps is None else steps
    guided = (manifest.sample.guidance if guidance is None else guidance) != 1
    if guided and shape.classes is None:
        raise UsageError(
            f"`{manifest.name}` has no classes, so guidance has nothing to guide by",
            help="price it with --guidance 1",
        )
    return Cost(
        name=manifest.name,
        grid=shape.grid,
        channels=shape.channels,
        classes=shape.classes,
        parameters=counts.parameters(shape),
        shared_parameters=counts.conditioning_parameters(shape),
        macs=counts.macs(shape),
        shared_macs=counts.conditioning_macs(shape),
        training_macs=counts.training_macs(shape),
        bricks=_price_bricks(shape),
        steps=steps,
        evaluations=len(heun_evaluations(steps)),
        guided=guided,
        policies=_price_policies(shape, _chosen(manifest, policies), steps, guided),
    )


def _chosen(manifest: Manifest, names: Sequence[str]) -> list[Policy]:
    builtin = ["none", "halfway"] if len(manifest.shape.bricks) > 1 else ["none"]
    return [manifest.policy(name) for name in names or [*builtin, *(p.name for p in manifest.policies)]]


def _price_bricks(shape: StackShape) -> tuple[BrickCost, ...]:
    total = counts.macs(shape)
    return tuple(
        BrickCost(
            id=brick.id,
            window=brick.window,
            receptive_field=brick.receptive_field,
            windows=brick.windows,
            windows_trained=brick.windows_trained,
            tokens=brick.tokens,
            depth=brick.depth,
            width=brick.width,
            parameters=counts.brick_parameters(brick),
            macs=(own := counts.brick_macs(brick)),
            share=own / total,
        )
        for brick in shape.bricks
    )


def _price_policies(shape: StackShape, policies: Sequence[Policy], steps: int, guided: bool) -> tuple[PolicyCost, ...]:
    levels = edm_levels(steps, shape.diffusion, guided=guided)
    evaluations = heun_evaluations(steps)
    whole = counts.policy_macs(shape, tabulate(Policy("none"), shape.ids, levels), evaluations)
    found: list[PolicyCost] = []
    for policy in policies:
        table = tabulate(policy, shape.ids, levels)
        own = counts.policy_macs(shape, table, evaluations)
        skipped = {brick: count for brick in shape.ids if (count := table.skipped(brick))}
        found.append(PolicyCost(policy.name, own, 1 - own / whole, skipped, table.breaks()))
    return tuple(found)
