"""A stack as the model in a loop of diffusers: its scheduler steps, the stack estimates, a policy leaves bricks out.

    pip install "legoc[peers]"                        # diffusers
    python examples/diffusers_loop.py                 # a small stack with random weights
    python examples/diffusers_loop.py runs/emoji_32   # a run of yours, of diffusion `edm`

A stack takes x = x0 + sigma noise and gives the estimate of x0, which schedulers call `prediction_type="sample"`. It
scales its own input, so the scheduler's scaling is left aside. The noise levels are EDM's, handed to the scheduler.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

import legoc_runtime
from legoc.driver import compile_path
from legoc_runtime import BrickStack
from legoc_runtime.contract.policy import TruthTable, configuration_name, tabulate
from legoc_runtime.contract.schedule import edm_levels
from legoc_runtime.store import WeightStore

SPEC = Path(__file__).parent / "tiny.yaml"
STEPS = 12
IMAGES = 4


def stack_with_random_weights() -> BrickStack:
    """Compile `tiny.yaml` in memory and load weights: any mapping of weight keys to tensors will do."""
    manifest, _ = compile_path(SPEC)
    store = WeightStore(manifest.shape)
    generator = torch.Generator().manual_seed(0)
    store.load({key: 0.05 * torch.randn(w.shape, generator=generator) for key, w in store.weights.items()})
    return BrickStack(manifest, store)


@torch.inference_mode()
def sample(stack: BrickStack, table: TruthTable, noise: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """The loop of a pipeline of diffusers, from unit noise [N, C, H, W] to images."""
    scheduler: Any = import_module("diffusers").EulerDiscreteScheduler(prediction_type="sample")
    scheduler.set_timesteps(sigmas=[*(level.sigma for level in table.levels), 0.0])
    scheduler.set_begin_index(0)
    x = noise * table.levels[0].sigma
    for t, level, configuration in zip(scheduler.timesteps, table.levels, table.configurations, strict=True):
        scheduler.scale_model_input(x, t)  # it wants to be asked
        estimate = stack(x, torch.tensor(level.sigma), labels, configuration=configuration)
        x = scheduler.step(estimate, t, x).prev_sample
    return x


@torch.inference_mode()
def by_hand(stack: BrickStack, table: TruthTable, noise: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """The same without diffusers: dx/dsigma = (x - estimate) / sigma (Karras et al. 2022, Eq. 1)."""
    sigmas = [level.sigma for level in table.levels]
    x = noise * sigmas[0]
    for sigma, following, configuration in zip(sigmas, [*sigmas[1:], 0.0], table.configurations, strict=True):
        estimate = stack(x, torch.tensor(sigma), labels, configuration=configuration)
        x = x + (following - sigma) * (x - estimate) / sigma
    return x


def main(run: str | None) -> None:
    """Sample with every brick, and with the top brick left out in half of the steps."""
    stack = legoc_runtime.load(run) if run else stack_with_random_weights()
    shape = stack.shape
    levels = edm_levels(STEPS, shape.edm)
    noise = torch.randn(IMAGES, shape.channels, *shape.grid, generator=torch.Generator().manual_seed(0))
    labels = None if shape.classes is None else torch.arange(IMAGES) % shape.classes
    for name in ("none", "halfway"):
        table = tabulate(stack.manifest.policy(name), shape.ids, levels)
        images = sample(stack, table, noise, labels)
        for part in table.runs():
            print(f"{name}: steps {part.start} to {part.stop - 1} ran {configuration_name(part.configuration)}")
        difference = (images - by_hand(stack, table, noise, labels)).abs().max()
        print(f"{name}: {IMAGES} images {tuple(images.shape[1:])}, {difference:.1e} from the loop by hand")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
