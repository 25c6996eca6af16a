"""The `train:` section of a spec as people write it (`spec/written.py`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from legoc.spec.section import Section
from legoc.spec.values import (
    BrickId,
    Count,
    NotNegative,
    Positive,
    PositiveCount,
    Rate,
    Share,
    Text,
    WrittenSeeds,
)


class Optimizer(Section):
    """The optimizer."""

    name: Literal["adamw"] | None = Field(None, description="which optimizer (adamw)", examples=["adamw"])
    lr: Annotated[float, Field(gt=0, le=10)] | None = Field(
        None, description="peak learning rate (1e-4)", examples=[1e-4]
    )
    betas: Annotated[list[Rate], Field(min_length=2, max_length=2)] | None = Field(
        None, description="decay rates of the moments ([0.9, 0.999])", examples=[[0.9, 0.999]]
    )
    weight_decay: NotNegative | None = Field(None, description="decoupled weight decay (0)", examples=[0.01])


class Stage(Section):
    """A stretch of a training run in which some bricks train."""

    required = frozenset({"train"})
    train: Annotated[list[BrickId], Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="ids of the bricks that train; others below the highest of them run frozen, those above do not run",
        examples=[["coarse"], ["coarse", "detail"]],
    )
    images: PositiveCount | None = Field(
        None, description="images of the stage (the last one: all that are left)", examples=["2M"]
    )


class Dropping(Section):
    """Training for skipping: a share of the steps trains what a skip policy runs."""

    required = frozenset({"policy"})
    policy: Text | None = Field(
        None, description="skip policy: halfway, halfway:SHARE, or one of the spec's", examples=["halfway", "lean"]
    )
    rate: Share | None = Field(None, description="share of the steps that follow it (0.5)", examples=[0.5])


class Train(Section):
    """Training. Flags of `legoc train` override it."""

    nullable = frozenset({"clip_norm", "decay_images", "keep_every_images", "preview_images", "start_from"})
    batch: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="images a step (128)", examples=[256]
    )
    images: PositiveCount | None = Field(None, description="images to train on in all (1M)", examples=["350M"])
    precision: Literal["float32", "bf16", "fp16"] | None = Field(
        None, description="what products compute in; weights stay float32 (float32)", examples=["bf16"]
    )
    accumulate: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="parts that a step computes its batch in, to save memory (1)", examples=[4]
    )
    checkpoint_activations: Literal["none", "bricks"] | None = Field(
        None, description="what the backward pass computes again, to save memory (none)", examples=["bricks"]
    )
    sharding: Literal["none", "fsdp2"] | None = Field(
        None,
        description="whether each of several processes holds everything, or its share of it, to save memory (none)",
        examples=["fsdp2"],
    )
    optimizer: Optimizer | None = Field(
        None, description="the optimizer (AdamW)", examples=[{"name": "adamw", "lr": 1e-4}]
    )
    warmup_images: Count | None = Field(
        None, description="images over which the learning rate rises (10k)", examples=["10k"]
    )
    schedule: Literal["constant", "cosine", "inverse_sqrt"] | None = Field(
        None, description="what the learning rate does after its warm-up (constant)", examples=["cosine"]
    )
    decay_images: PositiveCount | None = Field(
        None,
        description="cosine: where the rate reaches 0, null for the end; inverse_sqrt: where it begins to fall (null)",
        examples=["70M", None],
    )
    clip_norm: Positive | None = Field(
        None, description="bound on the gradient's norm, null for none (1)", examples=[1, None]
    )
    ema: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1, max_length=8)] | None = Field(
        None, description="decay rates of the moving averages ([0.9999])", examples=[[0.9999]]
    )
    ema_profiles: (
        Annotated[list[Annotated[float, Field(gt=0.001, le=0.28)]], Field(min_length=0, max_length=8)] | None
    ) = Field(
        None,
        description="widths (sigma_rel) of averages that `legoc ema` makes others of after the run (none)",
        examples=[[0.05, 0.1]],
    )
    ema_snapshot_images: PositiveCount | None = Field(
        None, description="those averages are kept every so many images (1M)", examples=["4M"]
    )
    patches: Literal["independent", "nested"] | None = Field(
        None,
        description="whether bricks draw the windows that they train on independently, or one inside the other "
        "(independent)",
        examples=["nested"],
    )
    loss_weighting: Literal["diffusion", "x0", "noise", "min_snr"] | None = Field(
        None,
        description="how much an error counts at its noise level: as the diffusion says, that of the clean image, "
        "that of the noise, or Min-SNR-5 (diffusion)",
        examples=["min_snr"],
    )
    drop: Dropping | None = Field(
        None,
        description="train for skipping: what a policy runs, at the noise levels at which it does (never)",
        examples=[{"policy": "halfway", "rate": 0.5}],
    )
    stages: Annotated[list[Stage], Field(max_length=64)] | None = Field(
        None,
        description="which bricks train when, stage after stage (all of them, all the time)",
        examples=[[{"train": ["coarse"], "images": "2M"}, {"train": ["coarse", "detail"]}]],
    )
    fill: Literal["noisy", "x0", "zeros", "model"] | None = Field(
        None, description="what stands for windows that did not run (noisy)", examples=["noisy"]
    )
    gradient: Literal["through", "detached"] | None = Field(
        None, description="whether a brick's loss reaches the bricks below (through)", examples=["detached"]
    )
    start_from: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None,
        description="weights to begin with: a run, checkpoint, file or exported folder of the same architecture, from "
        "the current directory (`--from`); null draws them by the seed (null)",
        examples=["runs/emoji_32"],
    )
    flip: bool | None = Field(None, description="flip training images at random (false)", examples=[True])
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        None, description="seed of the whole run (0)", examples=[0]
    )
    snapshot_images: PositiveCount | None = Field(
        None, description="a checkpoint every so many images (100k)", examples=["100k"]
    )
    keep: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="how many checkpoints are kept, the newest ones; final ones always are (3)", examples=[10]
    )
    keep_every_images: PositiveCount | None = Field(
        None,
        description="of older ones, one in every so many images is kept too, null for none (null)",
        examples=["1M"],
    )
    held_out: Rate | None = Field(
        None, description="share of the images that is never trained on, for measuring (0)", examples=[0.02]
    )
    log_images: PositiveCount | None = Field(
        None, description="a line of metrics every so many images (1k)", examples=["1k"]
    )
    on_explosion: Literal["stop", "warn"] | None = Field(
        None,
        description="whether a loss that rises far above its range and stays there ends the run (stop)",
        examples=["warn"],
    )
    preview_images: PositiveCount | None = Field(
        None,
        description="a grid of samples every so many images, made as `sample` says, null for none (null)",
        examples=["50k"],
    )
    preview_seeds: WrittenSeeds | None = Field(
        None, description="the seeds that the grid shows, the same ones every time (0-15)", examples=["0-15"]
    )
