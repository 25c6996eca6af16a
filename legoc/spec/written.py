"""The spec as people write it: one model a section, strict, nothing unknown allowed.

Every field is optional to pydantic, so that a broken section can be cut out and the rest still checked; what must be
there stands in `required`, and which keys may be `null` in `nullable`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from legoc_runtime.contract.schedule import MAX_STEPS

_SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
MAX_COUNT = 10**15


def _count(value: Any) -> int:
    """A number of images: a whole number, or text such as `350M`, `10k`, `1.5M`."""
    if type(value) is int:
        count = Decimal(value)
    elif isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)([kMG])", value)
        if match is None:
            raise PydanticCustomError("text", "a whole number, or one with k, M or G such as 350M or 10k")
        count = Decimal(match[1]) * _SUFFIXES[match[2]]
    else:
        raise PydanticCustomError("type", "a whole number, or one with k, M or G such as 350M or 10k")
    if count != int(count):
        raise PydanticCustomError("text", "a whole number of images")
    if count > MAX_COUNT:
        raise PydanticCustomError("range", "at most {limit}", {"limit": f"{MAX_COUNT:,}"})
    return int(count)


def _positive_count(value: Any) -> int:
    count = _count(value)
    if count < 1:
        raise PydanticCustomError("range", "at least 1")
    return count


def _count_from_zero(value: Any) -> int:
    count = _count(value)
    if count < 0:
        raise PydanticCustomError("range", "at least 0")
    return count


def _size(value: Any) -> tuple[int, int] | Literal["image"]:
    """A window: one number, `HxW`, or `image` for the whole grid."""
    expected = "a number of pixels, height x width such as 8x16, or image"
    if value == "image":
        return "image"
    if type(value) is int:
        sides = (value, value)
    elif isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,6}) ?x ?([0-9]{1,6})", value)
        if match is None:
            raise PydanticCustomError("text", expected)
        sides = (int(match[1]), int(match[2]))
    else:
        raise PydanticCustomError("type", expected)
    if min(sides) < 1:
        raise PydanticCustomError("range", "at least 1")
    return sides


Size: TypeAlias = tuple[int, int] | Literal["image"]
WrittenSize = Annotated[Size, PlainValidator(_size, json_schema_input_type=int | str)]
PositiveCount = Annotated[int, PlainValidator(_positive_count, json_schema_input_type=int | str)]
Count = Annotated[int, PlainValidator(_count_from_zero, json_schema_input_type=int | str)]
Text = Annotated[str, StringConstraints(max_length=2000)]
StackName = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z")]
BrickId = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_]{0,63}\z")]
Side = Annotated[int, Field(ge=1, le=16384)]
Width = Annotated[int, Field(ge=4, le=65536)]
Share = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """What all sections share: strict types, no unknown keys, no infinities, `null` only where it means something."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)
    required: ClassVar[frozenset[str]] = frozenset()
    nullable: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*", mode="before")
    @classmethod
    def _null_means_something(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name not in cls.nullable:
            raise PydanticCustomError("null", "null")
        return value


class Grid(Section):
    """The grid of pixels, or latents, that every brick starts from and ends at."""

    required = frozenset({"height", "width", "channels"})
    height: Side | None = Field(None, description="height of the grid, in pixels or latents")
    width: Side | None = Field(None, description="width of the grid")
    channels: Annotated[int, Field(ge=1, le=4096)] | None = Field(None, description="channels of an image")


class Conditioning(Section):
    """What the stack is told beside the noisy image."""

    required = frozenset({"classes"})
    nullable = frozenset({"classes"})
    classes: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        None, description="number of classes; null is an unconditional stack"
    )
    label_dropout: Rate | None = Field(None, description="share of training labels replaced by the null label (0.1)")
    width: Annotated[int, Field(ge=1, le=65536)] | None = Field(
        None, description="features of the conditioning vector (the widest brick's width)"
    )


class Diffusion(Section):
    """EDM and its constants (Karras et al. 2022, Table 1). The word `edm` alone takes them all."""

    required = frozenset({"kind"})

    kind: Literal["edm"] | None = Field(None, description="edm")
    sigma_data: Positive | None = Field(None, description="standard deviation of the data (0.5)")
    sigma_min: Annotated[float, Field(ge=1e-6)] | None = Field(
        None, description="lowest noise level of sampling (0.002)"
    )
    sigma_max: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        None, description="highest noise level of sampling (80)"
    )
    rho: Annotated[float, Field(ge=1, le=100)] | None = Field(None, description="exponent of the schedule (7)")
    p_mean: float | None = Field(None, description="mean of log sigma in training (-1.2)")
    p_std: Positive | None = Field(None, description="standard deviation of log sigma in training (1.2)")

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value


class BrickDefaults(Section):
    """What bricks have that do not say otherwise."""

    receptive_field: Side | None = Field(None, description="side of a token, in pixels")
    depth: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, description="number of Transformer blocks")
    width: Width | None = Field(None, description="features of a token")
    heads: Annotated[int, Field(ge=1, le=4096)] | None = Field(None, description="attention heads; divides the width")
    mlp_ratio: Annotated[float, Field(ge=0.25, le=64)] | None = Field(
        None, description="hidden features of the MLP over the width (4)"
    )
    train_patches: Share | None = Field(None, description="share of a patch-brick's windows that a step trains (1)")
    loss_weight: NotNegative | None = Field(None, description="weight of the brick's own loss (1)")


class Brick(BrickDefaults):
    """One brick: a small Transformer over windows of the full-resolution grid."""

    required = frozenset({"id", "size"})
    id: BrickId | None = Field(None, description="name of the brick; names its weights")
    size: WrittenSize | None = Field(None, description="window: pixels, HxW, or image for the whole grid")
    skip: Text | None = Field(None, description="predicate: leave the brick out where it holds")


class Compat(Section):
    """Conventions of other people's weights."""

    coordinates: Literal["row_column", "column_row", "none"] | None = Field(
        None, description="order of the coordinate channels (row_column)"
    )
    label_embedding: Literal["table", "linear"] | None = Field(None, description="form of the label embedding (table)")


class Data(Section):
    """Where the training images are."""

    required = frozenset({"path"})
    path: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None, description="a zip with dataset.json, or a folder of class folders"
    )


class Optimizer(Section):
    """The optimizer."""

    name: Literal["adamw"] | None = Field(None, description="adamw")
    lr: Annotated[float, Field(gt=0, le=10)] | None = Field(None, description="peak learning rate (1e-4)")
    betas: Annotated[list[Rate], Field(min_length=2, max_length=2)] | None = Field(
        None, description="decay rates of the moments ([0.9, 0.999])"
    )
    weight_decay: NotNegative | None = Field(None, description="decoupled weight decay (0)")


class Train(Section):
    """Training. Flags of `legoc train` override it."""

    nullable = frozenset({"clip_norm"})
    batch: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(None, description="images a step (128)")
    images: PositiveCount | None = Field(None, description="images to train on in all (1M)")
    optimizer: Optimizer | None = Field(None, description="the optimizer")
    warmup_images: Count | None = Field(None, description="images over which the learning rate rises (10k)")
    clip_norm: Positive | None = Field(None, description="bound on the gradient's norm (1); null is none")
    ema: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1, max_length=8)] | None = Field(
        None, description="decay rates of the moving averages ([0.9999])"
    )
    fill: Literal["noisy", "x0"] | None = Field(None, description="what stands for windows that did not run (noisy)")
    gradient: Literal["through", "detached"] | None = Field(
        None, description="whether a brick's loss reaches the bricks below (through)"
    )
    flip: bool | None = Field(None, description="flip training images at random (false)")
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(None, description="seed of the whole run (0)")
    snapshot_images: PositiveCount | None = Field(None, description="a checkpoint every so many images (100k)")
    log_images: PositiveCount | None = Field(None, description="a line of metrics every so many images (1k)")


class Sample(Section):
    """Sampling. Flags of `legoc sample` override it."""

    sampler: Literal["heun"] | None = Field(None, description="heun")
    steps: Annotated[int, Field(ge=2, le=MAX_STEPS)] | None = Field(None, description="number of noise levels (40)")
    guidance: NotNegative | None = Field(None, description="scale of classifier-free guidance (1, none)")
    churn: NotNegative | None = Field(None, description="S_churn (0, deterministic)")
    churn_min: NotNegative | None = Field(None, description="S_min (0)")
    churn_max: NotNegative | None = Field(None, description="S_max (1e9)")
    churn_noise: Positive | None = Field(None, description="S_noise (1)")


class Spec(Section):
    """A whole spec."""

    required = frozenset({"legoc", "name", "grid", "conditioning", "bricks"})
    legoc: int | None = Field(None, description="version of the language: 1")
    name: StackName | None = Field(None, description="name of the stack; names its build directory and runs")
    description: Text | None = Field(None, description="one line for people")
    grid: Grid | None = Field(None, description="the grid of pixels or latents")
    conditioning: Conditioning | None = Field(None, description="classes, or none")
    diffusion: Diffusion | None = Field(None, description="edm, or its constants")
    carry: Literal["x0", "raw"] | None = Field(None, description="what a brick hands on (x0)")
    brick_defaults: BrickDefaults | None = Field(None, description="what bricks have that do not say otherwise")
    bricks: Annotated[list[Brick], Field(min_length=1, max_length=64)] | None = Field(
        None, description="the bricks, bottom to top"
    )
    skip_policies: Annotated[dict[str, dict[str, Text]], Field(max_length=100)] | None = Field(
        None, description="name -> brick id -> predicate"
    )
    compat: Compat | None = Field(None, description="conventions of other people's weights")
    data: Data | None = Field(None, description="where the training images are")
    train: Train | None = Field(None, description="training")
    sample: Sample | None = Field(None, description="sampling")
