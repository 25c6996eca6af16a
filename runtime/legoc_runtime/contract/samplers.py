"""The samplers there are, as facts that the front end, prices and pictures share.

The samplers themselves are in `legoc_runtime.sampling`, one a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Sampler = Literal["heun", "euler", "dpmpp_2m", "ddpm", "ddim"]


@dataclass(frozen=True, slots=True)
class SamplerFacts:
    """What a sampler is, without its code.

    Attributes:
        title: its name for people.
        diffusion: the diffusion whose noise levels it walks down.
        corrects: whether every step but the last calls the stack a second time, at the level that it arrives at.
        churns: whether it takes EDM's churn (`churn`, `churn_min`, `churn_max`, `churn_noise`).
        takes_eta: whether it takes `eta`, its share of noise.
    """

    title: str
    diffusion: Literal["edm", "ddpm"]
    corrects: bool = False
    churns: bool = False
    takes_eta: bool = False


SAMPLERS: Mapping[Sampler, SamplerFacts] = {
    "heun": SamplerFacts("Heun", "edm", corrects=True, churns=True),
    "euler": SamplerFacts("Euler", "edm", churns=True),
    "dpmpp_2m": SamplerFacts("DPM-Solver++(2M)", "edm"),
    "ddpm": SamplerFacts("DDPM", "ddpm"),
    "ddim": SamplerFacts("DDIM", "ddpm", takes_eta=True),
}
"""Every sampler, those of a diffusion with its default first."""


def samplers_of(diffusion: str) -> tuple[Sampler, ...]:
    """The samplers of a diffusion (`edm`, `ddpm`), its default first."""
    return tuple(name for name, facts in SAMPLERS.items() if facts.diffusion == diffusion)
