"""The `sample:` section of a spec as people write it (`spec/written.py`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from legoc.spec.section import Section
from legoc.spec.values import (
    MAX_SIDE,
    NotNegative,
    Positive,
    Text,
    WrittenAverage,
    WrittenChannels,
    WrittenClasses,
    WrittenInterval,
    WrittenPictureSize,
    WrittenSeeds,
)
from legoc_runtime.contract.canvas_request import MAX_REGIONS
from legoc_runtime.contract.canvas_request import MAX_SIDE as MAX_PLACE
from legoc_runtime.contract.samplers import Sampler
from legoc_runtime.contract.schedule import MAX_STEPS
from legoc_runtime.contract.settings import Way

Place = Annotated[int, Field(ge=0, le=MAX_PLACE)]


class Region(Section):
    """A rectangle of a canvas with a class of its own."""

    required = frozenset({"class", "box"})
    label: Annotated[int, Field(ge=0, lt=10_000_000)] | None = Field(
        None, alias="class", description="the class that it shows", examples=[3]
    )
    box: Annotated[list[Place], Field(min_length=4, max_length=4)] | None = Field(
        None,
        description="corners x0, y0, x1, y1: x across, y down, the last two the first places outside",
        examples=[[0, 0, 64, 32]],
    )


class Sample(Section):
    """Sampling. Flags of `legoc sample` override it."""

    sampler: Sampler | None = Field(
        None,
        description="which sampler: heun, euler or dpmpp_2m for edm, ddpm or ddim for ddpm (heun, ddpm)",
        examples=["heun", "dpmpp_2m"],
    )
    steps: Annotated[int, Field(ge=2, le=MAX_STEPS)] | None = Field(
        None, description="number of noise levels (40)", examples=[75]
    )
    guidance: NotNegative | None = Field(
        None, description="scale of classifier-free guidance, where 1 is none (1)", examples=[1.5]
    )
    guidance_channels: WrittenChannels | None = Field(
        None,
        description="how many channels, the first ones, guidance acts on; DiT guides 3 (all)",
        examples=["all", 3],
    )
    guidance_interval: WrittenInterval | None = Field(
        None,
        description="noise levels at which guidance acts: above the first, up to the second value of sigma; "
        "elsewhere it costs nothing (all)",
        examples=["all", [0.3, 5]],
    )
    churn: NotNegative | None = Field(
        None, description="S_churn of EDM's Algorithm 2, where 0 is deterministic sampling (0)", examples=[40]
    )
    churn_min: NotNegative | None = Field(
        None, description="S_min: the lowest noise level that churn acts at (0)", examples=[0.05]
    )
    churn_max: NotNegative | None = Field(
        None, description="S_max: the highest noise level that churn acts at (1e9)", examples=[50]
    )
    churn_noise: Positive | None = Field(
        None, description="S_noise: how much the noise that churn adds is inflated (1)", examples=[1.003]
    )
    eta: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="DDIM's share of noise: 0 draws none, 1 as much as DDPM (0)", examples=[0.5]
    )
    skip_policy: Text | None = Field(
        None,
        description="skip policy: none, halfway, halfway:SHARE, or one of the spec's "
        "(default where bricks have a `skip`, else none)",
        examples=["halfway", "halfway:0.4", "lean"],
    )
    seeds: WrittenSeeds | None = Field(
        None, description="one picture a seed: numbers and ranges (0-63)", examples=["0-63", "1,5,9-12"]
    )
    classes: WrittenClasses | None = Field(
        None,
        description="which class a seed's picture shows: one, a list that seeds cycle through, all in turn (balanced) "
        "or one drawn by the seed (random)",
        examples=[3, [0, 3, 5], "balanced"],
    )
    batch: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="pictures at once (64)", examples=[256]
    )
    ema: WrittenAverage | None = Field(
        None,
        description="rate of the moving average to sample, the run's first, or none: the raw weights (first)",
        examples=[0.9999, "none"],
    )
    decoder: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None,
        description="local folder of the VAE that makes pictures of sampled latents, from the current directory, or "
        "none: latents are kept (none)",
        examples=["models/sd-vae", "none"],
    )
    decode: Literal["tiles", "whole"] | None = Field(
        None,
        description="how canvases are decoded that are larger than the VAE was made for: in tiles that overlap and are "
        "blended, which bounds memory, or whole (tiles)",
        examples=["whole"],
    )
    size: WrittenPictureSize | None = Field(
        None,
        description="height x width of a picture: the grid's own, or of a canvas that windows slide over (grid)",
        examples=["grid", "64x256"],
    )
    stride: Annotated[int, Field(ge=1, le=MAX_SIDE)] | None = Field(
        None,
        description="of a canvas: from one window to the next (7, or a smaller window's smaller side)",
        examples=[7],
    )
    canvas: Way | None = Field(
        None,
        description="of a canvas: the whole stack slides, or image-bricks alone (windows)",
        examples=["windows", "factorised"],
    )
    wrap: bool | None = Field(
        None, description="of a canvas: whether the right border goes on at the left one (false)", examples=[True]
    )
    regions: Annotated[list[Region], Field(max_length=MAX_REGIONS)] | None = Field(
        None,
        description="of a canvas: rectangles with classes of their own, later ones over earlier ones (none)",
        examples=[[{"class": 3, "box": [0, 0, 64, 32]}]],
    )
