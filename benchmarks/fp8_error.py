"""What 8-bit products do to a stack's estimates, against bfloat16 and float32, computed on a CPU by emulation.

The numbers are those of the GPU's products up to the order of their sums, so that no GPU is needed. Without a run the
weights are drawn: heavy-tailed (Student's t with 5 degrees of freedom) at Xavier's scale, no modulation zero, which is
harder on 8 bits than normal weights are.

    python benchmarks/fp8_error.py specs/lego_pg_s.yaml --bricks image
    python benchmarks/fp8_error.py specs/emoji_32.yaml --run runs/emoji_32 --bricks image
"""

from __future__ import annotations

import argparse
import math
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import linear

from legoc.driver import compile_spec
from legoc.spec import load_spec
from legoc_runtime.checkpoint import find_weights, read_tensors
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.layers.fp8 import linear_fp8, quantise_rows
from legoc_runtime.layers.scaling import edm_scales
from legoc_runtime.link.opt_in.fp8 import Fp8, large_bricks
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore

SEED = 0


def main() -> None:
    """Measure, and print a record in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--run", type=Path, help="take the weights of this run")
    parser.add_argument("--bricks", nargs="+", help="bricks in 8 bits; by default the large ones")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--sigmas", type=float, nargs="+", default=[0.05, 0.5, 5.0, 50.0])
    arguments = parser.parse_args()
    manifest, _ = compile_spec(load_spec(arguments.spec))
    shape = manifest.shape
    bricks = tuple(arguments.bricks or large_bricks(shape)) or shape.ids
    exact = WeightStore(shape)
    exact.load(read_tensors(find_weights(arguments.run, ema=None)) if arguments.run else drawn(exact))
    half = WeightStore(shape, dtype=torch.bfloat16)
    half.load(exact.weights)
    stacks = {
        "float32": BrickStack(manifest, exact),
        "bfloat16": BrickStack(manifest, half),
        f"bfloat16, {', '.join(bricks)} in 8 bits": BrickStack(manifest, half, fp8=Fp8(bricks, emulated=True)),
    }
    heading(manifest.name, arguments)
    products(shape, exact, bricks)
    estimates(shape, stacks, arguments)


def drawn(store: WeightStore) -> dict[str, Tensor]:
    """Heavy-tailed weights: matrices at Xavier's scale, vectors at a tenth."""
    generator = torch.Generator().manual_seed(SEED)
    found: dict[str, Tensor] = {}
    for key, weight in store.weights.items():
        normal = torch.randn(weight.shape, generator=generator)
        chi = torch.randn(5, *weight.shape, generator=generator).square().mean(0).sqrt()
        scale = math.sqrt(2 / sum(weight.shape)) if weight.ndim == 2 else 0.1
        found[key] = normal / chi * math.sqrt(3 / 5) * scale
    return found


def products(shape: StackShape, store: WeightStore, bricks: tuple[str, ...]) -> None:
    """Relative errors of the four products of a brick's first block, for normal inputs."""
    print("Root mean square of the error of one product over that of the product, inputs normal:\n")
    print("| brick | product | bfloat16 | 8 bits |")
    print("|---|---|---|---|")
    for brick in bricks:
        for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"):
            weight = store.weights[f"bricks.{brick}.blocks.0.{name}.weight"].detach()
            x = torch.randn(256, weight.shape[1], generator=torch.Generator().manual_seed(SEED))
            true = linear(x.double(), weight.double())
            rounded = linear(x.bfloat16(), weight.bfloat16())
            none = torch.zeros(weight.shape[0], dtype=torch.bfloat16)
            eight = linear_fp8(x.bfloat16(), *quantise_rows(weight.bfloat16()), none)
            cells = f"{relative(rounded, true):.2%} | {relative(eight, true):.2%}"
            print(f"| {brick} | {name}, {weight.shape[1]} to {weight.shape[0]} | {cells} |", flush=True)
    print()


@torch.no_grad()
def estimates(shape: StackShape, stacks: dict[str, BrickStack], arguments: argparse.Namespace) -> None:
    """Errors of estimates against float32, and against what the network adds to c_skip x."""
    generator = torch.Generator().manual_seed(SEED)
    size = (arguments.batch, shape.channels, *shape.grid)
    clean = torch.randn(size, generator=generator) * shape.edm.sigma_data
    noise = torch.randn(size, generator=generator)
    labels = None if shape.classes is None else torch.arange(arguments.batch) % shape.classes
    names = [name for name in stacks if name != "float32"]
    print(
        "Root mean square of the error of an estimate, in percent of the estimate (and of c_out times the network):\n"
    )
    print(f"| sigma | {' | '.join(names)} |")
    print("|---" * (1 + len(names)) + "|")
    for sigma in arguments.sigmas:
        x = clean + sigma * noise
        level = torch.full((arguments.batch,), sigma)
        true = stacks["float32"](x, level, labels)
        c_skip = edm_scales(level, shape.edm.sigma_data)[0]
        network = true - c_skip[:, None, None, None] * x
        cells: list[str] = []
        for name in names:
            error = stacks[name](x, level, labels) - true
            of_network = float(error.norm() / network.norm())
            cells.append(f"{float(error.norm() / true.norm()):.3%} ({of_network:.2%})")
        print(f"| {sigma:g} | {' | '.join(cells)} |", flush=True)


def relative(result: Tensor, true: Tensor) -> float:
    """Root mean square of the difference over that of `true`."""
    return float((result.double() - true).norm() / true.norm())


def heading(name: str, arguments: argparse.Namespace) -> None:
    """What was measured."""
    print(f"# Error of 8-bit products, {name}, {datetime.now(UTC):%Y-%m-%d}\n")
    print(f"- {platform.processor() or 'CPU'}, torch {torch.__version__}, load average {os.getloadavg()[0]:.1f}")
    weights = f"of {arguments.run}" if arguments.run else "drawn from Student's t, 5 degrees of freedom"
    print(f"- weights {weights}; {arguments.batch} images a noise level\n")


if __name__ == "__main__":
    main()
