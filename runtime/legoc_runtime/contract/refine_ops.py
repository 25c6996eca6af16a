"""Operations of a pretrained brick above others; lowering emits them. Legend: see `contract/value_types.py`.

A model that was trained by itself reads a noisy image and its noise level, not an estimate. Above others it is given
the noisy image at a lower noise level, to which the estimate e from below leads: with x = x0 + sigma eps the noise is
eps' = (x - e) / sigma, and the image at a level s is e + s eps', one deterministic step (Song et al. 2021, Eq. 12 with
no noise added; Karras et al. 2022, Algorithm 1, line 5). What e says of the image the model reads in the clear, and
denoises the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from legoc_runtime.contract.value_types import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerLevel:
    """The noise level that is left: `scale` times sigma, but no less than `lowest`, and never more than sigma.

    max(scale * sigma, min(sigma, lowest)); one number an image. `lowest` is the lowest level that the model was trained
    for: there the noisy image is read as it is.
    """

    name: ClassVar[str] = "lower_level"
    brick: str
    sigma: Value
    scale: float
    lowest: float
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class LessNoise:
    """The noisy image at a lower level: estimate + level / sigma * (image - estimate)."""

    name: ClassVar[str] = "less_noise"
    brick: str
    estimate: Value
    image: Value
    sigma: Value
    level: Value
    out: Value
