"""Use a built stack in a loop of your own.

    python examples/own_loop.py                  # a small stack with random weights
    python examples/own_loop.py runs/emoji_32    # a run of yours

A stack is a function: noisy images, their noise levels and labels in, estimates of the clean images out, with
the bricks to run named in every call. Which bricks run at which noise level is the policy's business; the
loop is yours. Here it is Euler's method along EDM's probability flow (Karras et al. 2022, Eq. 1).
"""

from __future__ import annotations

import sys
from pathlib import Path

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
def euler(stack: BrickStack, table: TruthTable, x: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """From noise x [N, C, H, W] at the first level to images: dx/dsigma = (x - estimate) / sigma."""
    sigmas = [level.sigma for level in table.levels]
    for sigma, following, configuration in zip(sigmas, [*sigmas[1:], 0.0], table.configurations, strict=True):
        estimate = stack(x, torch.tensor(sigma), labels, configuration=configuration)
        x = x + (following - sigma) * (x - estimate) / sigma
    return x


def main(run: str | None) -> None:
    """Sample with every brick, and with the top brick left out in half of the steps."""
    stack = legoc_runtime.load(run) if run else stack_with_random_weights()
    shape = stack.shape
    levels = edm_levels(STEPS, shape.diffusion)
    generator = torch.Generator().manual_seed(0)
    start = levels[0].sigma * torch.randn(IMAGES, shape.channels, *shape.grid, generator=generator)
    labels = None if shape.classes is None else torch.arange(IMAGES) % shape.classes

    pictures: dict[str, torch.Tensor] = {}
    for name in ("none", "halfway"):
        table = tabulate(stack.manifest.policy(name), shape.ids, levels)
        pictures[name] = euler(stack, table, start, labels)
        for part in table.runs():
            print(f"{name}: steps {part.start} to {part.stop - 1} ran {configuration_name(part.configuration)}")
    difference = (pictures["none"] - pictures["halfway"]).abs().mean()
    print(f"{IMAGES} images {tuple(start.shape[1:])}, mean difference between the two {difference:.3f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
