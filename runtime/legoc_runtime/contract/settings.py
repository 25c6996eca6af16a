"""What a spec says about training and sampling, with the defaults. Flags of the commands override these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from legoc_runtime.contract.samplers import Sampler

Patches = Literal["independent", "nested"]
LossWeighting = Literal["diffusion", "x0", "noise", "min_snr"]
Fill = Literal["noisy", "x0", "zeros", "model"]
Precision = Literal["float32", "bf16", "fp16"]
Resize = Literal["none", "box", "adm", "celeba_crop"]
RESIZES: tuple[Resize, ...] = get_args(Resize)
Decode = Literal["tiles", "whole"]
Schedule = Literal["constant", "cosine", "inverse_sqrt"]
GRID = "grid"
"""The size of pictures that are no canvases."""

OF_CANVASES = ("stride", "canvas", "wrap", "regions")
"""Settings of sampling that say something of canvases alone."""

Way = Literal["windows", "factorised"]
WAYS: tuple[Way, ...] = get_args(Way)
PretrainedKind = Literal["stack", "module", "dit", "diffusers_unet", "diffusers_dit"]
WEIGHT_FILES = (".safetensors", ".pt", ".pth")
"""Endings of the files that hold a DiT's weights."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a training run in which some bricks train (`train: {stages}`).

    Attributes:
        train: ids of the bricks that train. The others up to the highest of them run as they are; those above do not.
        images: how many images the stage has; None is all that are left, of the last stage alone.
    """

    train: tuple[str, ...]
    images: int | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """Noise levels at which a policy runs the same bricks.

    Attributes:
        bricks: ids of the bricks that run, bottom to top.
        share: share of the noise levels that training draws, 0 to 1.
    """

    bricks: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Training for skipping (`train: {drop}`): a share of the steps trains what a skip policy runs.

    Attributes:
        policy: name of the policy.
        rate: share of the steps that follow it, above 0 and at most 1; the others train the whole stack.
        bands: what the policy runs over the spec's schedule, from the highest noise levels to the lowest.
    """

    policy: str
    rate: float
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """The `train:` section.

    Attributes:
        batch: images a step.
        images: images to train on in all; a step counts its batch.
        precision: what products compute in; weights, moments and averages are float32 whatever it is. `fp16` scales the
            loss, so that small gradients do not vanish.
        accumulate: parts that a step computes its batch in, one after the other: memory for time.
        checkpoint_activations: what the backward pass computes again in place of keeping it: memory for time.
        sharding: whether each of several processes holds everything, or its share of weights, gradients, moments and
            averages: memory for messages.
        learning_rate: AdamW's peak learning rate.
        betas: AdamW's betas.
        weight_decay: AdamW's weight decay.
        warmup_images: images over which the learning rate rises linearly from 0 to its peak.
        schedule: what the learning rate does then: stays, falls to 0 on half a cosine, or falls as 1 / sqrt(images)
            (EDM2, Karras et al. 2024, Eq. 67).
        decay_images: `cosine`: where it reaches 0, None for the end of the run; `inverse_sqrt`: where it falls.
        clip_norm: bound on the gradient's norm, or None.
        ema: decay rates of the exponential moving averages, a step each.
        ema_profiles: widths (sigma_rel) of further averages, with power-function profiles, that others can be made of
            after the run (`contract.profiles`).
        ema_snapshot_images: those are kept every so many images.
        fill: what stands, while training, for windows that a brick did not run (ARCHITECTURE, "The missing estimate").
        gradient: whether a brick's loss reaches the bricks below (`through`) or not (`detached`).
        start_from: path of the weights that a run begins with; None draws them by `seed`.
        flip: whether training images are flipped horizontally at random.
        seed: seed of initialisation, order, noise, label drop, flips and windows.
        snapshot_images: a checkpoint every so many images.
        keep: so many checkpoints are kept, the newest; and final ones.
        keep_every_images: of older ones, the first in every so many images is kept too; None for none.
        log_images: a line of metrics every so many images.
        patches: whether bricks draw the windows that they train on independently, or nested (`training/windows.py`).
        stages: which bricks train when; empty trains all of them all the time.
        drop: which steps leave bricks out as a skip policy does; it acts where the whole stack trains.
        held_out: share of the images that is never trained on, for measuring (`training/held_out.py`); 0 is none.
        on_explosion: whether a loss that rises far above its range and stays there ends the run, or is told of alone.
        preview_images: a grid of samples every so many images, made as `sample:` says; None for none.
        preview_seeds: the seeds that it shows, as `request.parse_seeds` reads them.
        loss_weighting: how much the error of an image counts at its noise level (`diffusion/weighting.py`).
    """

    batch: int = 128
    images: int = 1_000_000
    precision: Precision = "float32"
    accumulate: int = 1
    checkpoint_activations: Literal["none", "bricks"] = "none"
    sharding: Literal["none", "fsdp2"] = "none"
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup_images: int = 10_000
    schedule: Schedule = "constant"
    decay_images: int | None = None
    clip_norm: float | None = 1.0
    ema: tuple[float, ...] = (0.9999,)
    ema_profiles: tuple[float, ...] = ()
    ema_snapshot_images: int = 1_000_000
    fill: Fill = "noisy"
    gradient: Literal["through", "detached"] = "through"
    start_from: str | None = None
    flip: bool = False
    seed: int = 0
    snapshot_images: int = 100_000
    keep: int = 3
    keep_every_images: int | None = None
    log_images: int = 1_000
    patches: Patches = "independent"
    stages: tuple[Stage, ...] = ()
    drop: Drop | None = None
    loss_weighting: LossWeighting = "diffusion"
    held_out: float = 0.0
    on_explosion: Literal["stop", "warn"] = "stop"
    preview_images: int | None = None
    preview_seeds: str = "0-15"


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a canvas with a class of its own: columns left to right - 1, rows top to bottom - 1."""

    label: int
    left: int
    top: int
    right: int
    bottom: int

    def __str__(self) -> str:
        return f"{self.label}:{self.left},{self.top},{self.right},{self.bottom}"


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """The `sample:` section.

    Attributes:
        sampler: `heun`: EDM's Algorithm 2, deterministic when `churn` is 0; `euler`: the same without corrections;
            `dpmpp_2m`: DPM-Solver++(2M), for few steps; `ddpm`: ancestral sampling (Ho et al. 2020, Algorithm 2) and
            `ddim` (Song et al. 2021), those of a DDPM stack.
        steps: noise levels N, 2 or more.
        guidance: scale of classifier-free guidance; 1 is none.
        churn: S_churn.
        churn_min: S_min; churn acts at noise levels from here ...
        churn_max: S_max; ... to here.
        churn_noise: S_noise.
        eta: of `ddim`: 0 draws no noise, 1 as much as DDPM's posterior has.
        skip_policy: name of the skip policy.
        seeds: one picture each, as `request.parse_seeds` reads them.
        classes: which class a seed's picture shows, as `request.parse_classes` reads it.
        batch: pictures at once; it moves them by rounding only.
        ema: which weights: `first`, the run's first average, or the raw ones where it has none; a rate; `none`.
        guidance_channels: how many channels, the first ones, are guided, as `request.parse_channels` reads it; `all`.
        guidance_interval: the noise levels at which guidance acts, as `request.parse_interval` reads it; `all`.
        decoder: folder of the VAE that makes pictures of latents, from the current directory; `none` keeps latents.
        decode: how canvases are decoded that are larger than the VAE was made for: in its tiles, or whole.
        size: height and width of a picture, `HxW` in elements of the grid; `grid` is the stack's own. Any other size
            is a canvas (`canvas_request.canvas_of`), and what follows is of canvases alone.
        stride: from one window to the next; None takes `canvas_request.default_stride`.
        canvas: `windows`: the whole stack slides; `factorised`: image-bricks alone slide.
        wrap: whether the right border goes on at the left one.
        regions: rectangles with classes of their own; later ones lie over earlier ones.
    """

    sampler: Sampler = "heun"
    steps: int = 40
    guidance: float = 1.0
    churn: float = 0.0
    churn_min: float = 0.0
    churn_max: float = 1e9
    churn_noise: float = 1.0
    eta: float = 0.0
    skip_policy: str = "none"
    seeds: str = "0-63"
    classes: str = "random"
    batch: int = 64
    ema: str = "first"
    guidance_channels: str = "all"
    guidance_interval: str = "all"
    decoder: str = "none"
    decode: Decode = "tiles"
    size: str = "grid"
    stride: int | None = None
    canvas: Way = "windows"
    wrap: bool = False
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class PretrainedSettings:
    """A model that is trained already, as a brick of a stack (paper, section 3.3).

    Attributes:
        kind: `stack`: a run or checkpoint of legoc; `module`: what an installed package opens; `dit`: DiT's weights;
            `diffusers_unet`, `diffusers_dit`: a pipeline or model folder of diffusers.
        path: its folder, from the current directory; for `dit` also its file.
        frozen: whether training leaves its weights alone.
        name: for `module`, the name of its entry point in the group `legoc.pretrained`; None for the others.
        heads: for `dit`, its attention heads, which shapes do not tell; None for the others.
        noise_scale: above others, the share of the noise level that it denoises, between 0 and 1; None at the bottom.
    """

    kind: PretrainedKind
    path: str
    frozen: bool = True
    name: str | None = None
    heads: int | None = None
    noise_scale: float | None = None
