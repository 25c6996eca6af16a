"""Operations of stacks on DDPM's chain; lowering emits them. Legend: see `contract/value_types.py`.

A stack takes a noisy image as x = x0 + sigma eps whatever its diffusion. On DDPM's chain x_t = sqrt(abar) x, with
sigma = sqrt((1 - abar) / abar).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from legoc_runtime.contract.value_types import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class DdpmScales:
    """The coefficients of noise prediction on the stack's own chain; one number an image.

    c_skip = 1 and c_out = -sigma, so that c_skip x + c_out eps is the clean image (paper, Eq. 6, times sqrt(abar));
    c_in = 1 / sqrt(1 + sigma^2) = sqrt(abar), so that c_in x is x_t; c_noise is the timestep whose noise level is
    sigma, between two of them in proportion, and the first or last one beyond them. c_below = abar is what an estimate
    is multiplied by where it is handed on.
    """

    name: ClassVar[str] = "ddpm_scales"
    sigma: Value
    c_skip: Value
    c_out: Value
    c_in: Value
    c_noise: Value
    c_below: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeChannels:
    """`count` channels of an image from channel `first` on."""

    name: ClassVar[str] = "take_channels"
    image: Value
    first: int
    count: int
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinChannels:
    """Images one after another along channels."""

    name: ClassVar[str] = "join_channels"
    images: tuple[Value, ...]
    out: Value
