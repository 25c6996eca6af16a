"""What an evaluation of a compiled stack spends its time on: our own blocks, products, attention, fused kernels.

python benchmarks/where_time_goes.py specs/lego_pg_s.yaml --batch 8
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from legoc.driver import compile_spec
from legoc.spec import load_spec
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore

KINDS = {
    "our own blocks": ("legoc::avx512_block",),
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "attention": ("aten::_scaled_dot_product",),
    "fused kernels": ("## Call CompiledFxGraph",),
}


def kind(name: str) -> str:
    """The kind that an event belongs to."""
    return next((kind for kind, starts in KINDS.items() if name.startswith(starts)), "the rest")


def main() -> None:
    """Profile, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--calls", type=int, default=10)
    arguments = parser.parse_args()
    manifest, _ = compile_spec(load_spec(arguments.spec))
    shape = manifest.shape
    store = WeightStore(shape)
    store.initialise(0)
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():  # fresh output layers are zero
            weight.add_(torch.randn_like(weight) * 0.02)
    stack = BrickStack(manifest, store, backend="inductor")
    x, sigma = torch.randn(arguments.batch, shape.channels, *shape.grid), torch.ones(arguments.batch)
    with torch.no_grad():
        for _ in range(4):
            stack(x, sigma)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _ in range(arguments.calls):
                stack(x, sigma)
    spent: dict[str, float] = dict.fromkeys([*KINDS, "the rest"], 0.0)
    for event in profiler.key_averages():
        spent[kind(event.key)] += event.self_cpu_time_total / 1e3 / arguments.calls
    whole = sum(spent.values())
    print("| what | ms a call | share |\n|---|---|---|")
    for name, milliseconds in spent.items():
        print(f"| {name} | {milliseconds:.1f} | {milliseconds / whole:.1%} |")


if __name__ == "__main__":
    main()
