"""Training settings that make sense, wherever they come from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import get_args

from legoc_runtime.contract.profiles import MAX_WIDTH
from legoc_runtime.contract.settings import Precision, TrainSettings
from legoc_runtime.errors import UsageError


def check_settings(settings: TrainSettings) -> None:
    """Raise UsageError, naming every setting that is out of range."""
    if wrong := list(_wrong(settings)):
        raise UsageError("; ".join(wrong), help="mend the spec's `train:` section or the flag")


def _wrong(settings: TrainSettings) -> Iterator[str]:
    for name in ("batch", "images", "snapshot_images", "keep", "log_images", "ema_snapshot_images"):
        if getattr(settings, name) < 1:
            yield f"{name} is {getattr(settings, name)}, it must be 1 or more"
    if settings.keep_every_images is not None and settings.keep_every_images < 1:
        yield f"keep_every_images is {settings.keep_every_images}, it must be 1 or more"
    if settings.preview_images is not None and settings.preview_images < 1:
        yield f"preview_images is {settings.preview_images}, it must be 1 or more"
    if settings.accumulate < 1 or settings.batch % settings.accumulate:
        yield f"{settings.accumulate} parts (accumulate) cannot share a batch of {settings.batch} evenly"
    if not 0 <= settings.held_out < 1:
        yield f"held_out is {settings.held_out}, it must be at least 0 and below 1"
    if settings.precision not in get_args(Precision):
        yield f"precision is {settings.precision}, it must be one of {', '.join(get_args(Precision))}"
    yield from _wrong_schedule(settings)
    if settings.warmup_images < 0:
        yield f"warmup_images is {settings.warmup_images}, it must be 0 or more"
    if not (math.isfinite(settings.learning_rate) and settings.learning_rate > 0):
        yield f"learning rate is {settings.learning_rate}, it must be above 0"
    if not (math.isfinite(settings.weight_decay) and settings.weight_decay >= 0):
        yield f"weight_decay is {settings.weight_decay}, it must be 0 or more"
    if settings.clip_norm is not None and not settings.clip_norm > 0:
        yield f"clip_norm is {settings.clip_norm}, it must be above 0, or null"
    for rate in settings.ema:
        if not 0 <= rate < 1:
            yield f"an ema rate is {rate}, it must be at least 0 and below 1"
    if len(set(settings.ema)) < len(settings.ema):
        yield "an ema rate is given twice"
    for width in settings.ema_profiles:
        if not 0.001 < width <= MAX_WIDTH:
            yield f"an ema profile has the width {width}, it must be above 0.001 and at most {MAX_WIDTH}"
    if len(set(settings.ema_profiles)) < len(settings.ema_profiles):
        yield "an ema profile is given twice"
    if not 0 <= settings.seed < 2**63:
        yield f"seed is {settings.seed}, it must be at least 0 and below 2^63"


def _wrong_schedule(settings: TrainSettings) -> Iterator[str]:
    decay = settings.decay_images
    match settings.schedule:
        case "constant" if decay is not None:
            yield "decay_images does nothing under a constant learning rate"
        case "inverse_sqrt" if decay is None or decay < 1:
            yield f"decay_images is {decay}, the schedule inverse_sqrt needs 1 or more"
        case "cosine" if decay is not None and decay < settings.images:
            yield f"the learning rate is 0 from image {decay:,} on (decay_images), training ends at {settings.images:,}"
        case "cosine" if settings.warmup_images >= (settings.images if decay is None else decay):
            yield f"the warm-up of {settings.warmup_images:,} images lasts as long as the cosine"
        case _:
            pass
