"""The plan of a build as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from legoc.cost.counts import macs, parameters
from legoc.lower.pipeline import Pipeline, choose
from legoc.plan.reach import Reached, reach
from legoc_runtime.contract.attention_rule import AttentionForm, Device, attention_form, why
from legoc_runtime.contract.block_rule import BlockForm, block_form, why_block
from legoc_runtime.contract.curriculum import images_by_variant
from legoc_runtime.contract.gelu_rule import GeluForm, gelu_form, why_gelu
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.stack import BrickShape

DEVICES: tuple[Device, ...] = ("cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kernel runs.

    Attributes:
        device: kind of device.
        backend: `eager`, or `inductor`, which fuses element-wise operations.
        training: whether a backward pass follows.
    """

    device: Device
    backend: str
    training: bool

    @property
    def fused(self) -> bool:
        """Whether a compiler fuses element-wise operations there."""
        return self.backend == "inductor"


PLACES = tuple(Place(*place) for place in product(DEVICES, ("inductor", "eager"), (False, True)))


@dataclass(frozen=True, slots=True)
class KernelChoice:
    """The form of a kernel at one place, with the reason in words."""

    place: Place
    form: BlockForm | AttentionForm | GeluForm
    reason: str


@dataclass(frozen=True, slots=True)
class Signature:
    """What tells blocks apart: all blocks of a signature share what a backend compiles, in every configuration.

    Attributes:
        width: features of a token.
        heads: attention heads.
        tokens: tokens of a window.
        hidden: hidden features of the MLP.
        bricks: the bricks whose blocks have it.
        blocks: how many blocks those are.
    """

    width: int
    heads: int
    tokens: int
    hidden: int
    bricks: tuple[str, ...]
    blocks: int


@dataclass(frozen=True, slots=True)
class PlannedProgram:
    """A program of the build.

    Attributes:
        name: the configuration's name, or `training`.
        bricks: the bricks that run, bottom to top.
        macs: multiply-accumulates of a forward pass of one image.
        share: `macs` over those of the whole stack, 0 to 1.
        inputs: names of its arguments.
        operations: number of its operations.
    """

    name: str
    bricks: Configuration
    macs: int
    share: float
    inputs: tuple[str, ...]
    operations: int


@dataclass(frozen=True, slots=True)
class PlannedVariant:
    """A training program that does not train the whole stack.

    Attributes:
        program: the program.
        learning: the bricks of it that train; the others are frozen.
        images: images of a run that it trains on, to the nearest one: steps are of a whole batch.
    """

    program: PlannedProgram
    learning: Configuration
    images: int


@dataclass(frozen=True)
class Plan:
    """What a build holds, and why.

    Attributes:
        name: the stack's name.
        parameters: trainable parameters.
        macs: multiply-accumulates of a forward pass of one image, nothing skipped.
        steps: noise levels of the schedule on which policies are read.
        configurations: the sampling programs.
        training: the training program.
        variants: the further training programs, of stages and of bricks that `drop` leaves out, each with the images
            that it trains on.
        reached: every policy over the schedule.
        block: brick -> the form of its blocks, place by place where a compiler runs.
        attention: brick -> the form of the attention of compiled blocks, place by place.
        gelu: the form of the GELU of every compiled block, place by place.
        signatures: the distinct blocks.
        passes: the passes over programs that run.
        left_out: exact passes over programs that do not run.
    """

    name: str
    parameters: int
    macs: int
    steps: int
    configurations: tuple[PlannedProgram, ...]
    training: PlannedProgram
    variants: tuple[PlannedVariant, ...]
    reached: tuple[Reached, ...]
    block: dict[str, tuple[KernelChoice, ...]]
    attention: dict[str, tuple[KernelChoice, ...]]
    gelu: tuple[KernelChoice, ...]
    signatures: tuple[Signature, ...]
    passes: Pipeline
    left_out: tuple[str, ...]

    def policies_of(self, configuration: Configuration) -> tuple[str, ...]:
        """The policies that reach a configuration."""
        return tuple(dict.fromkeys(r.policy for r in self.reached if configuration in r.table.configurations))

    def shared(self) -> dict[str, tuple[str, ...]]:
        """Configurations that several policies reach -> those policies. One program serves them all."""
        found = {program.name: self.policies_of(program.bricks) for program in self.configurations}
        return {name: policies for name, policies in found.items() if len(policies) > 1}


def make_plan(manifest: Manifest, pipeline: Pipeline, policies: Sequence[str] = (), steps: int | None = None) -> Plan:
    """The plan of a compiled spec.

    Args:
        manifest: with its programs.
        pipeline: the passes over programs that made them.
        policies: those that the build was asked for beside the spec's.
        steps: noise levels of the schedule; the spec's own by default.
    """
    shape = manifest.shape
    return Plan(
        name=manifest.name,
        parameters=parameters(shape),
        macs=macs(shape),
        steps=manifest.sample.steps if steps is None else steps,
        configurations=tuple(_planned(manifest, p) for p in manifest.programs if p is not manifest.training),
        training=_planned(manifest, manifest.training),
        variants=tuple(_variants(manifest)),
        reached=reach(manifest, policies, steps),
        block={brick.id: tuple(_block(brick)) for brick in shape.bricks},
        attention={brick.id: tuple(_attention(brick)) for brick in shape.bricks},
        gelu=tuple(_gelu()),
        signatures=tuple(_signatures(shape.bricks)),
        passes=pipeline,
        left_out=tuple(name for name in choose().names if name not in pipeline.names),
    )


def _variants(manifest: Manifest) -> Iterator[PlannedVariant]:
    ids, programs = manifest.shape.ids, {program.name: program for program in manifest.variants}
    for variant, images in images_by_variant(ids, manifest.train).items():
        if (program := programs.get(variant.name(ids))) is not None:
            yield PlannedVariant(_planned(manifest, program), variant.learning, round(images))


def _planned(manifest: Manifest, program: Program) -> PlannedProgram:
    count = macs(manifest.shape, program.bricks)
    return PlannedProgram(
        name=program.name,
        bricks=program.bricks,
        macs=count,
        share=count / macs(manifest.shape),
        inputs=tuple(name for name, _ in program.inputs),
        operations=len(program.ops),
    )


def _block(brick: BrickShape) -> Iterator[KernelChoice]:
    for place in PLACES:
        if place.fused:
            form = block_form(brick.width, brick.tokens, device=place.device, training=place.training)
            sentence = why_block(brick.width, brick.tokens, device=place.device, training=place.training)
            yield KernelChoice(place, form, sentence.removeprefix(f"{form}: "))


def _attention(brick: BrickShape) -> Iterator[KernelChoice]:
    for place in PLACES:
        form = attention_form(brick.tokens, device=place.device, fused=place.fused, training=place.training)
        sentence = why(brick.tokens, device=place.device, fused=place.fused, training=place.training)
        yield KernelChoice(place, form, sentence.removeprefix(f"{form}: "))


def _gelu() -> Iterator[KernelChoice]:
    for place in PLACES:
        form = gelu_form(device=place.device, fused=place.fused, training=place.training)
        sentence = why_gelu(device=place.device, fused=place.fused, training=place.training)
        yield KernelChoice(place, form, sentence.removeprefix(f"{form}: "))


def _signatures(bricks: Sequence[BrickShape]) -> Iterator[Signature]:
    alike: dict[tuple[int, int, int, int], list[BrickShape]] = {}
    for brick in bricks:
        alike.setdefault((brick.width, brick.heads, brick.tokens, brick.mlp_width), []).append(brick)
    for key, found in alike.items():
        yield Signature(*key, bricks=tuple(brick.id for brick in found), blocks=sum(brick.depth for brick in found))
