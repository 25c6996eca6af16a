"""Serve requests that begin at different times in one batch.

    python examples/serve_mixed_batch.py                  # a small stack with random weights
    python examples/serve_mixed_batch.py runs/emoji_32    # a run of yours

A server that waits until a batch is finished leaves newcomers waiting. Here a request joins at the next tick, wherever
the others stand in their schedules: `BrickStack.by_level` takes images at different noise levels, groups them by the
bricks that the policy runs there, and calls each group once. Modulation for the schedule is computed before the first
request. Each picture has the bits that it has when it is made alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

import legoc_runtime
from legoc.driver import compile_path
from legoc_runtime import BrickStack
from legoc_runtime.contract.policy import TruthTable, tabulate
from legoc_runtime.contract.schedule import edm_levels
from legoc_runtime.stack import ModulationTable
from legoc_runtime.store import WeightStore

SPEC = Path(__file__).parent / "tiny.yaml"
STEPS = 10
ARRIVALS = (0, 0, 2, 3, 3, 6)
"""The tick at which each request comes in."""


def stack_with_random_weights() -> BrickStack:
    """Compile `tiny.yaml` in memory and load weights."""
    manifest, _ = compile_path(SPEC)
    store = WeightStore(manifest.shape)
    generator = torch.Generator().manual_seed(0)
    store.load({key: 0.05 * torch.randn(w.shape, generator=generator) for key, w in store.weights.items()})
    return BrickStack(manifest, store)


@dataclass
class Request:
    """A picture in the making: its state x [C, H, W], its class (the null label if there is none), its next step."""

    x: torch.Tensor
    label: int
    step: int = 0


def new_request(stack: BrickStack, number: int) -> Request:
    """Request `number`: noise of its own at the first level, and a class."""
    shape = stack.shape
    noise = torch.randn(shape.channels, *shape.grid, generator=torch.Generator().manual_seed(number))
    return Request(noise * shape.edm.sigma_max, number % shape.classes if shape.classes else 0)


@torch.inference_mode()
def tick(stack: BrickStack, policy: TruthTable, ahead: ModulationTable, active: list[Request]) -> None:
    """Move every active request on by one step of Euler's method, all in one batch."""
    levels = [level.sigma for level in policy.levels] + [0.0]
    sigma = torch.tensor([levels[request.step] for request in active])
    labels = None if stack.shape.classes is None else torch.tensor([request.label for request in active])
    x = torch.stack([request.x for request in active])
    estimates = stack.by_level(x, sigma, labels, runs=policy, table=ahead)
    for request, estimate in zip(active, estimates, strict=True):
        here, following = levels[request.step], levels[request.step + 1]
        request.x = request.x + (following - here) * (request.x - estimate) / here
        request.step += 1


def serve(
    stack: BrickStack, policy: TruthTable, ahead: ModulationTable, arrivals: dict[int, int]
) -> tuple[dict[int, torch.Tensor], int]:
    """Serve requests (number -> tick of arrival) until all are done: number -> picture, and the number of batches."""
    done: dict[int, torch.Tensor] = {}
    active: dict[int, Request] = {}
    now = batches = 0
    while len(done) < len(arrivals):
        active.update({number: new_request(stack, number) for number, at in arrivals.items() if at == now})
        if active:
            tick(stack, policy, ahead, list(active.values()))
            batches += 1
        for number in [number for number, request in active.items() if request.step == STEPS]:
            done[number] = active.pop(number).x
        now += 1
    return done, batches


def main(run: str | None) -> None:
    """Serve overlapping requests, then the same ones alone, and compare."""
    stack = legoc_runtime.load(run, policy="halfway") if run else stack_with_random_weights()
    shape = stack.shape
    policy = tabulate(stack.manifest.policy("halfway"), shape.ids, edm_levels(STEPS, shape.edm))
    calls = [(what, level.sigma) for what, level in zip(policy.configurations, policy.levels, strict=True)]
    ahead = stack.tabulate(calls, None if shape.classes is None else range(shape.classes))
    print(
        f"modulation of {len(ahead.calls)} levels: {ahead.bytes:,} bytes, {'held' if ahead.fits else 'not held'} whole"
    )
    together, batches = serve(stack, policy, ahead, dict(enumerate(ARRIVALS)))
    print(f"{len(together)} requests of {STEPS} steps in {batches} mixed batches")
    same = [torch.equal(serve(stack, policy, ahead, {number: 0})[0][number], x) for number, x in together.items()]
    print(f"{sum(same)} of {len(same)} pictures have the bits that they have alone")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
