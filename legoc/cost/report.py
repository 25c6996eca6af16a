"""The cost of a build as data: brick by brick, and policy by policy over a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from legoc.cost import counts, executed
from legoc.cost.memory import MemoryCost, memory
from legoc.cost.peer import PEER_NAME, dit_xl_2
from legoc_runtime.contract.canvas import Canvas
from legoc_runtime.contract.canvas_request import canvas_of
from legoc_runtime.contract.curriculum import of_bricks
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import Break, Configuration, Policy, TruthTable, tabulate
from legoc_runtime.contract.samplers import Sampler
from legoc_runtime.contract.schedule import Evaluation, Level, check_guidance, evaluations, sampling_levels
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError

COST_VERSION = 1
"""Version of the JSON form."""

UNITS = {
    "parameters": "numbers",
    "macs": "multiply-accumulates for one image: a forward pass; of a policy, all its evaluations",
    "flops": "floating-point operations of a forward pass for one image",
    "training_macs": "multiply-accumulates for one training image",
    "memory": "bytes; activations of sampling are for one row, of training for one image",
    "batch": "images",
    "rows": "rows of a forward pass while sampling `batch` images: with guidance two an image",
    "batch_memory": "bytes, for `rows` and `batch`",
    "share": "0 to 1",
    "saving": "share of the multiply-accumulates, 0 to 1",
}
"""What the numbers of the JSON form count, by key."""


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
class PretrainedCost:
    """A brick that a model which is trained already stands for.

    Attributes:
        id: its id.
        kind: which adapter opens it.
        frozen: whether training leaves it alone.
        parameters: its parameters; None where its files were not opened, as before a build of a module.
        macs: MACs of a forward pass of one image; None where nothing tells them: they are in no sum then.
        share: `macs` over those of the whole stack, 0 to 1.
        place: how many of `bricks` stand below it.
    """

    id: str
    kind: str
    frozen: bool
    parameters: int | None
    macs: int | None
    share: float | None
    place: int = 0


@dataclass(frozen=True, slots=True)
class PolicyCost:
    """One skip policy over the schedule.

    Attributes:
        policy: its name.
        macs: MACs of sampling one image.
        saving: share saved of the MACs of the same stack without skips, 0 to 1.
        peer_saving: share saved of the MACs of the peer at the same number of evaluations and rows on the same grid;
            negative where the policy costs more; None where there is no peer.
        skipped: brick id -> noise levels at which it is left out, for bricks that are left out somewhere.
        breaks: where a brick starts or stops running, with the noise level.
    """

    policy: str
    macs: int
    saving: float
    peer_saving: float | None
    skipped: dict[str, int]
    breaks: tuple[Break, ...]


@dataclass(frozen=True, slots=True)
class ConfigurationCost:
    """One set of bricks that runs together somewhere in the schedules of the priced policies.

    Attributes:
        configuration: ids of the bricks, bottom to top.
        parameters: those that it needs: its bricks' and the embedders'.
        macs: MACs of a forward pass of one image.
        share: `macs` over those of the whole stack, 0 to 1.
    """

    configuration: Configuration
    parameters: int
    macs: int
    share: float


@dataclass(frozen=True, slots=True)
class PeerCost:
    """The model that policies are held against: DiT-XL/2 on the stack's grid (`legoc.cost.peer`).

    Attributes:
        name: its name.
        parameters: trainable parameters.
        macs: MACs of a forward pass of one image.
    """

    name: str
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What the MACs of a training image are the mean over.

    Attributes:
        stages: stages that train some bricks and freeze others; 0 for none.
        drop: the policy whose bricks some steps leave out; None where none do.
        fills: whether windows that are not trained run once as well, to give the brick above their estimates.
        passes: whether losses reach a brick through a pretrained model that is frozen.
    """

    stages: int = 0
    drop: str | None = None
    fills: bool = False
    passes: bool = False


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
        executed_macs: those that the modules really run (`executed.executed_macs`).
        training_macs: MACs of a training image (`counts.training_macs`); the mean over the images of a run.
        trained: over what that is the mean, and what else runs beside what trains.
        executed_training_macs: those that a step really runs (`executed.executed_training_macs`).
        memory: bytes of weights and activations.
        peer: DiT-XL/2 on the same grid, or None where its patches do not divide it.
        bricks: the bricks, bottom to top.
        steps: noise levels of the sampling schedule.
        evaluations: forward passes of the sampler.
        guided: whether guidance acts at any noise level, so that an image takes two rows there.
        guided_evaluations: forward passes that run twice, with the label and with the null label.
        policies: the policies that were asked for; `none` is the yardstick of their savings.
        configurations: the sets of bricks that these policies reach, in order of first use.
        sampler: the spec's sampler.
        canvas: where windows lie, if a canvas is priced; the MACs of policies are then those of one canvas.
        rows_by_brick: how often each brick then runs on a whole grid in an evaluation of one row.
        pretrained: the brick that is a pretrained model, if there is one; `bricks` are the others.
    """

    name: str
    grid: tuple[int, int]
    channels: int
    classes: int | None
    parameters: int
    shared_parameters: int
    macs: int
    shared_macs: int
    executed_macs: int
    training_macs: int
    executed_training_macs: int
    memory: MemoryCost
    peer: PeerCost | None
    bricks: tuple[BrickCost, ...]
    steps: int
    evaluations: int
    guided: bool
    guided_evaluations: int
    policies: tuple[PolicyCost, ...]
    configurations: tuple[ConfigurationCost, ...]
    sampler: Sampler = "heun"
    canvas: Canvas | None = None
    rows_by_brick: dict[str, int] | None = None
    trained: Trained = Trained()
    pretrained: PretrainedCost | None = None

    @property
    def flops(self) -> int:
        """FLOPs of a forward pass: two a MAC."""
        return counts.FLOPS_PER_MAC * self.macs

    def rows(self, batch: int) -> int:
        """Rows that sampling runs at once for so many images: guidance runs two for each."""
        return batch * (counts.GUIDED_ROWS if self.guided else 1)

    def to_json(self, batch: int = 1) -> dict[str, Any]:
        """JSON-ready data, with its version and the units' meaning.

        Args:
            batch: images whose activations `batch_memory` counts.
        """
        memory, rows = self.memory, self.rows(batch)
        return {
            "cost_version": COST_VERSION,
            "units": UNITS,
            "flops_per_mac": counts.FLOPS_PER_MAC,
            "flops": self.flops,
            **asdict(self),
            "batch": batch,
            "rows": rows,
            "batch_memory": {
                "sampling_activations": {p: rows * size for p, size in memory.sampling_activations.items()},
                "training_activations": {p: batch * size for p, size in memory.training_activations.items()},
            },
        }


def price(
    manifest: Manifest,
    *,
    policies: Sequence[str] = (),
    steps: int | None = None,
    guidance: float | None = None,
) -> Cost:
    """Price a build.

    Args:
        manifest: the build; of a spec, `legoc.driver.compile_spec(spec)` gives it.
        policies: names of the policies to price; empty prices `none`, `halfway` where there are two bricks or
            more, and all that the spec declares.
        steps: noise levels of the schedule; None takes the spec's `sample: {steps}`.
        guidance: scale of classifier-free guidance; 1 is none; None takes the spec's.

    Raises:
        UsageError: no such policy, schedule or scale of guidance, guidance of a stack without classes, or a canvas
            that does not fit.
    """
    shape = manifest.shape
    sample = manifest.sample
    sample = replace(
        sample,
        steps=sample.steps if steps is None else steps,
        guidance=sample.guidance if guidance is None else guidance,
    )
    check_guidance(sample.guidance)
    if sample.guidance != 1 and shape.classes is None:
        raise UsageError(
            f"`{manifest.name}` has no classes, so guidance has nothing to guide by",
            help="price it with --guidance 1",
        )
    levels, calls = sampling_levels(sample, shape.diffusion), evaluations(sample.sampler, sample.steps)
    guided = sum(levels[call.level].guided for call in calls)
    tables = [tabulate(policy, shape.ids, levels) for policy in _chosen(manifest, policies)]
    canvas = canvas_of(shape, sample)
    rows = None if canvas is None else canvas.rows_by_brick(shape)
    return Cost(
        name=manifest.name,
        grid=shape.grid,
        channels=shape.channels,
        classes=shape.classes,
        parameters=counts.parameters(shape),
        shared_parameters=counts.conditioning_parameters(shape),
        macs=counts.macs(shape),
        shared_macs=counts.conditioning_macs(shape),
        executed_macs=executed.executed_macs(shape),
        training_macs=counts.training_macs(shape, manifest.train),
        executed_training_macs=executed.executed_training_macs(shape, manifest.train),
        memory=memory(shape, manifest.train),
        peer=(peer := _peer(shape)),
        bricks=_price_bricks(shape),
        steps=sample.steps,
        evaluations=len(calls),
        guided=guided > 0,
        guided_evaluations=guided,
        policies=_price_policies(shape, tables, levels, calls, peer, rows),
        configurations=_price_configurations(shape, tables),
        sampler=sample.sampler,
        canvas=canvas,
        rows_by_brick=rows,
        trained=Trained(
            stages=len(manifest.train.stages),
            drop=None if manifest.train.drop is None else manifest.train.drop.policy,
            fills=manifest.train.fill == "model" and len(shape.trainable) > 1,
            passes=any(
                counts.passes_gradient(manifest.train, of_bricks(shape.ids, shape.fixed), id) for id in shape.fixed
            ),
        ),
        pretrained=_price_pretrained(shape),
    )


def _chosen(manifest: Manifest, names: Sequence[str]) -> list[Policy]:
    builtin = ["none", "halfway"] if len(manifest.shape.ids) > 1 else ["none"]
    declared = [*(policy.name for policy in manifest.policies), manifest.sample.skip_policy]
    chosen = dict.fromkeys(names or [*builtin, *declared])
    return [manifest.policy(name) for name in chosen]


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


def _peer(shape: StackShape) -> PeerCost | None:
    peer = dit_xl_2(shape.grid, shape.channels)
    return None if peer is None else PeerCost(PEER_NAME, counts.parameters(peer), counts.macs(peer))


def _price_configurations(shape: StackShape, tables: Sequence[TruthTable]) -> tuple[ConfigurationCost, ...]:
    whole, shared = counts.macs(shape), counts.conditioning_parameters(shape)
    reached = dict.fromkeys(configuration for table in tables for configuration in table.distinct())
    return tuple(
        ConfigurationCost(
            configuration=configuration,
            parameters=shared + _parameters(shape, configuration),
            macs=(own := counts.macs(shape, configuration)),
            share=own / whole,
        )
        for configuration in reached
    )


def _parameters(shape: StackShape, configuration: Configuration) -> int:
    given = shape.runs_pretrained(configuration)
    own = sum(map(counts.brick_parameters, shape.own(configuration)))
    return own if given is None else own + counts.pretrained_parameters(given)


def _price_pretrained(shape: StackShape) -> PretrainedCost | None:
    given = shape.pretrained
    if given is None:
        return None
    parameters = counts.pretrained_parameters(given) if given.weights else None
    macs = counts.pretrained_macs(given)
    share = None if macs is None else macs / counts.macs(shape)
    return PretrainedCost(given.id, given.kind, given.frozen, parameters, macs, share, given.place)


def _price_policies(
    shape: StackShape,
    tables: Sequence[TruthTable],
    levels: tuple[Level, ...],
    calls: tuple[Evaluation, ...],
    peer: PeerCost | None,
    rows_by_brick: dict[str, int] | None,
) -> tuple[PolicyCost, ...]:
    whole = counts.policy_macs(shape, tabulate(Policy("none"), shape.ids, levels), calls, rows_by_brick)
    # the peer has one way to a canvas: sliding windows
    windows = 1 if rows_by_brick is None else max(rows_by_brick.values())
    rows = windows * sum(counts.GUIDED_ROWS if levels[call.level].guided else 1 for call in calls)
    found: list[PolicyCost] = []
    for table in tables:
        own = counts.policy_macs(shape, table, calls, rows_by_brick)
        skipped = {brick: count for brick in shape.ids if (count := table.skipped(brick))}
        against = None if peer is None else 1 - own / (rows * peer.macs)
        found.append(PolicyCost(table.policy, own, 1 - own / whole, against, skipped, table.breaks()))
    return tuple(found)
