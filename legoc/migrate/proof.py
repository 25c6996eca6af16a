"""Whether a migrated stack computes what the old one did: both run on fixed inputs, configuration by configuration.

Everything runs in float64, in which trained float32 weights are what they are: what differs there by more than the
rounding of a sum differs in earnest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from legoc.driver import describe_spec, lower_configuration, sealed_shape
from legoc.migrate.expected import Expected
from legoc.migrate.outcome import IMAGES, Outcome
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.schedule import noise_levels
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.link.link import link
from legoc_runtime.pretrained import open_store

SEED = 0
TINY = 1e-300


class Side:
    """One stack, linked once for all of its files of weights.

    Args:
        spec: the stack's.
        configurations: what is run, by the stack's own ids.
        sigmas: noise levels, one an image.

    Raises:
        UsageError: the stack cannot be built by this version.
    """

    def __init__(self, spec: StackSpec, configurations: Sequence[Configuration], sigmas: Sequence[float]) -> None:
        manifest, _ = describe_spec(spec)
        manifest = replace(manifest, shape=sealed_shape(spec.shape))
        self._store = open_store(manifest.shape, dtype=torch.float64)
        self._modules = {found: link(lower_configuration(manifest, found), self._store) for found in configurations}
        self._inputs = _inputs(spec.shape, sigmas)

    def estimates(self, weights: Mapping[str, Tensor]) -> dict[Configuration, Tensor]:
        """The estimates [N, C, H, W] on the fixed inputs, in float64, by configuration."""
        self._store.load(weights)
        with torch.inference_mode():
            return {found: module(*self._inputs) for found, module in self._modules.items()}


def noise_of(spec: StackSpec) -> tuple[float, ...]:
    """Noise levels of a spec's schedule that stand for all of it: spread from the first to the last."""
    levels = noise_levels(max(IMAGES, spec.sample.steps), spec.shape.diffusion)
    return tuple(levels[round(i * (len(levels) - 1) / (IMAGES - 1))].sigma for i in range(IMAGES))


def compared(
    expected: Sequence[Expected],
    kind: str,
    before: Mapping[Configuration, Tensor],
    after: Mapping[Configuration, Tensor],
) -> tuple[Outcome, ...]:
    """Old estimates held against new ones.

    Args:
        expected: the configurations.
        kind: the file of weights that both are of.
        before: estimates by the old configurations.
        after: estimates by the new ones.
    """
    return tuple(_outcome(entry, kind, before, after[entry.after]) for entry in expected)


def _outcome(expected: Expected, kind: str, before: Mapping[Configuration, Tensor], new: Tensor) -> Outcome:
    old = None if expected.before is None else before[expected.before]
    is_finite = bool(torch.isfinite(new).all())
    if old is None or old.shape != new.shape:
        return Outcome(expected, kind, None, None, is_finite)
    # image by image: estimates at high noise are small, and must not hide behind those at low noise
    largest = old.abs().amax(dim=(1, 2, 3)).clamp_min(TINY)
    difference = float(((old - new).abs().amax(dim=(1, 2, 3)) / largest).max())
    return Outcome(expected, kind, torch.equal(old, new), difference, is_finite)


def _inputs(shape: StackShape, sigmas: Sequence[float]) -> list[Tensor]:
    """Arguments of a sampling program: x [N, C, H, W], sigma [N] and, where there are classes, labels [N]."""
    generator = torch.Generator().manual_seed(SEED)
    levels = torch.tensor(sigmas, dtype=torch.float64)
    noise = torch.randn(len(sigmas), shape.channels, *shape.grid, generator=generator, dtype=torch.float64)
    x = noise * (levels[:, None, None, None] ** 2 + 0.25).sqrt()  # of an image with a deviation of 1/2, and noise
    if shape.classes is None:
        return [x, levels]
    # the null label comes first, then classes
    return [x, levels, (shape.classes + torch.arange(len(sigmas))) % (shape.classes + 1)]
