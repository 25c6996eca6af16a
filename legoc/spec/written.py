"""The spec as people write it: one model a section, strict, nothing unknown allowed.

Every field is optional to pydantic, so that a broken section can be cut out and the rest still checked; what must be
there stands in `required` (or what stands `instead` of it), and which keys may be `null` in `nullable`.

Only `language_from_models.py` and type checkers import this file and its parts: what runs is `language.json`, made by

    python -m legoc.spec.language_from_models
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
)

from legoc.spec.readers import word_as_kind
from legoc.spec.section import Section as Section
from legoc.spec.values import (
    MAX_TIMESTEPS,
    Beta,
    BrickId,
    DiffusionKind,
    FilePath,
    NotNegative,
    Positive,
    Rate,
    Share,
    Side,
    StackName,
    Text,
    Width,
    WrittenOffset,
    WrittenSize,
)
from legoc.spec.written_sample import Sample
from legoc.spec.written_train import Train


class Grid(Section):
    """The grid of pixels, or latents, that every brick starts from and ends at."""

    required = frozenset({"height", "width", "channels"})
    height: Side | None = Field(None, description="height of the grid, in pixels or latents", examples=[32])
    width: Side | None = Field(None, description="width of the grid", examples=[32])
    channels: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="channels of an image", examples=[4]
    )


class Conditioning(Section):
    """What the stack is told beside the noisy image."""

    required = frozenset({"classes"})
    nullable = frozenset({"classes"})
    classes: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        None, description="number of classes; null is an unconditional stack", examples=[1000, None]
    )
    label_dropout: Rate | None = Field(
        None, description="share of training labels replaced by the null label (0.1)", examples=[0.1]
    )
    width: Annotated[int, Field(ge=1, le=65536)] | None = Field(
        None, description="features of the conditioning vector (the widest brick's width)", examples=[1152]
    )


class Diffusion(Section):
    """The diffusion and its constants. The word `edm` or `ddpm` alone takes them all.

    Constants of EDM (Karras et al. 2022, Table 1) and of DDPM (Ho et al. 2020) are keys of one section, so that a key
    of the other kind can be told what it is.
    """

    required = frozenset({"kind"})
    kind: DiffusionKind | None = Field(None, description="the diffusion process", examples=["edm", "ddpm"])
    sigma_data: Positive | None = Field(None, description="standard deviation of the data (0.5)", examples=[0.5])
    sigma_min: Annotated[float, Field(ge=1e-6)] | None = Field(
        None, description="lowest noise level of sampling (0.002)", examples=[0.002]
    )
    sigma_max: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        None, description="highest noise level of sampling (80)", examples=[80]
    )
    rho: Annotated[float, Field(ge=1, le=100)] | None = Field(
        None, description="exponent of the schedule (7)", examples=[7]
    )
    p_mean: float | None = Field(None, description="mean of log sigma in training (-1.2)", examples=[-1.2])
    p_std: Positive | None = Field(
        None, description="standard deviation of log sigma in training (1.2)", examples=[1.2]
    )
    steps: Annotated[int, Field(ge=2, le=MAX_TIMESTEPS)] | None = Field(
        None, description="timesteps of DDPM's chain (1000)", examples=[1000]
    )
    beta_start: Beta | None = Field(None, description="DDPM's beta at timestep 0 (1e-4)", examples=[1e-4])
    beta_end: Beta | None = Field(None, description="DDPM's beta at the last timestep (0.02)", examples=[0.02])
    variance: Literal["fixed_small", "fixed_large", "learned_range"] | None = Field(
        None,
        description="DDPM's variance: the posterior's, beta's, or learned between the two (fixed_small)",
        examples=["learned_range"],
    )


class BrickDefaults(Section):
    """What bricks have that do not say otherwise."""

    receptive_field: Side | None = Field(
        None,
        description="side of a token, in pixels (half the size of a patch-brick, 2 for an image-brick)",
        examples=[2],
    )
    depth: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="number of Transformer blocks (the brick or brick_defaults must say)", examples=[6]
    )
    width: Width | None = Field(
        None, description="features of a token (the brick or brick_defaults must say)", examples=[384]
    )
    heads: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="attention heads; divides the width (the brick or brick_defaults must say)", examples=[6]
    )
    mlp_ratio: Annotated[float, Field(ge=0.25, le=64)] | None = Field(
        None, description="hidden features of the MLP over the width (4)", examples=[4]
    )
    train_patches: Share | None = Field(
        None, description="share of a patch-brick's windows that a step trains (1)", examples=[0.75]
    )
    loss_weight: NotNegative | None = Field(None, description="weight of the brick's own loss (1)", examples=[1])


class Pretrained(Section):
    """A model that is trained already, as a brick (paper, section 3.3)."""

    required = frozenset({"kind", "path"})
    kind: Literal["stack", "module", "dit", "diffusers_unet", "diffusers_dit"] | None = Field(
        None,
        description="what the folder holds: a run or checkpoint of legoc, what an installed package opens, DiT "
        "weights, a UNet or a DiT of diffusers",
        examples=["diffusers_unet"],
    )
    path: FilePath | None = Field(
        None,
        description="its folder, from the current directory; for `kind: dit` also its file",
        examples=["models/ddpm-cifar10-32"],
    )
    frozen: bool | None = Field(None, description="whether training leaves its weights alone (true)", examples=[False])
    name: Text | None = Field(
        None,
        description="for `kind: module`: its entry point in the group legoc.pretrained (none)",
        examples=["my_unet"],
    )
    heads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None,
        description="for `kind: dit`: its attention heads (those of the published model of its width)",
        examples=[16],
    )
    noise_scale: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="above others: the share of the noise level that it denoises, from the estimate below on (0.5)",
        examples=[0.3],
    )


class Brick(BrickDefaults):
    """One brick: a small Transformer over windows of the full-resolution grid."""

    required = frozenset({"id", "size"})
    instead: ClassVar[Mapping[str, str]] = {"size": "pretrained"}
    id: BrickId | None = Field(None, description="name of the brick; names its weights", examples=["detail"])
    size: WrittenSize | None = Field(
        None, description="window: pixels, HxW, or image for the whole grid", examples=[4, "8x16", "image"]
    )
    offset: WrittenOffset | None = Field(
        None,
        description="rows and columns by which the windows are shifted, at the border to the other side (0)",
        examples=[2, "2x4"],
    )
    pretrained: Pretrained | None = Field(
        None,
        description="a model that is trained already stands for this brick (none)",
        examples=[{"kind": "diffusers_unet", "path": "models/ddpm-cifar10-32"}],
    )
    skip: Text | None = Field(
        None,
        description="predicate: the policy `default` leaves the brick out where it holds (it always runs)",
        examples=["sigma < 0.3", "progress >= 0.6 and not guided"],
    )


class Compat(Section):
    """Conventions of other people's weights."""

    coordinates: Literal["row_column", "column_row", "none"] | None = Field(
        None, description="order of the coordinate channels (row_column)", examples=["column_row"]
    )
    label_embedding: Literal["table", "linear"] | None = Field(
        None, description="form of the label embedding (table)", examples=["linear"]
    )
    time_scale: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        None, description="what c_noise, or DDPM's timestep, is multiplied by before its sinusoid (1)", examples=[1000]
    )


class Data(Section):
    """Where the training images are."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None,
        description="a zip with dataset.json or a folder of images, from the current directory (`--data`)",
        examples=["data/imagenet256_latents"],
    )
    resize: Literal["none", "box", "adm", "celeba_crop"] | None = Field(
        None,
        description="how images of other sizes come to the grid: not at all, resized whole, or cropped as for ImageNet "
        "or CelebA (none)",
        examples=["adm"],
    )


class Spec(Section):
    """A whole spec."""

    required = frozenset({"legoc", "name", "grid", "conditioning", "bricks"})
    legoc: int | None = Field(None, description="version of the language: 1", examples=[1])
    extends: FilePath | Annotated[list[FilePath], Field(min_length=1)] | None = Field(
        None,
        description="specs that this one is laid over, relative to this file (none)",
        examples=["lego_u_xl.yaml", ["base.yaml", "recipes/imagenet.yaml"]],
    )
    name: StackName | None = Field(
        None, description="name of the stack; names its build directory and runs", examples=["lego_u_xl"]
    )
    description: Text | None = Field(
        None, description="one line for people (empty)", examples=["LEGO-XL-U on 32x32 latents of 256x256 images"]
    )
    grid: Grid | None = Field(
        None, description="the grid of pixels or latents", examples=[{"height": 32, "width": 32, "channels": 4}]
    )
    conditioning: Conditioning | None = Field(
        None, description="classes, or none", examples=[{"classes": 1000, "label_dropout": 0.1}]
    )
    diffusion: Annotated[Diffusion, BeforeValidator(word_as_kind)] | None = Field(
        None,
        description="the word edm or ddpm, or a mapping with its constants (edm)",
        examples=["edm", {"kind": "edm", "sigma_data": 0.5}, "ddpm"],
    )
    carry: Literal["x0", "raw"] | None = Field(None, description="what a brick hands on (x0)", examples=["x0"])
    brick_defaults: BrickDefaults | None = Field(
        None,
        description="what bricks have that do not say otherwise (nothing)",
        examples=[{"width": 1152, "heads": 16, "mlp_ratio": 4, "train_patches": 0.75}],
    )
    bricks: Annotated[list[Brick], Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="the bricks, bottom to top",
        examples=[[{"id": "detail", "size": 4, "receptive_field": 2, "depth": 4}]],
    )
    skip_policies: Annotated[dict[str, dict[str, Text]], Field(max_length=100)] | None = Field(
        None,
        description="skip policies: name -> brick id -> predicate (none of its own)",
        examples=[{"lean": {"top": "progress >= 0.6", "detail": "sigma > 8"}}],
    )
    compat: Compat | None = Field(
        None, description="conventions of other people's weights (our own)", examples=[{"coordinates": "column_row"}]
    )
    data: Data | None = Field(
        None,
        description="where the training images are (what `legoc train --data` says)",
        examples=[{"path": "data/imagenet256_latents"}],
    )
    train: Train | None = Field(
        None,
        description="training; flags of `legoc train` override it (see its keys)",
        examples=[{"batch": 256, "images": "350M"}],
    )
    sample: Sample | None = Field(
        None,
        description="sampling; flags of `legoc sample` override it (see its keys)",
        examples=[{"sampler": "heun", "steps": 256, "guidance": 1.5}],
    )
