"""The AVX-512 block beside the library products of a block and the compiled block, for every kind of block of a spec.

    python benchmarks/own_block.py specs/lego_pg_s.yaml --batch 8
    python benchmarks/own_block.py specs/lego_pg_s.yaml --batch 8 --cpu-time

Everything takes its turn in every round, in blocks with weights of their own, since those of a stack do not stay in a
cache either. With `--cpu-time` there is one thread, and its own time counts: what others do on the machine costs it
caches, not time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch

from legoc.bench.products import SQUARE_NAME, block_products, block_subject, square_subject
from legoc.diagnostics import SpecError
from legoc.driver import compile_spec
from legoc.render import render_full
from legoc.spec import load_spec
from legoc_runtime.backends.inductor import free_sizes
from legoc_runtime.backends.regions import Forms, block_signature
from legoc_runtime.backends.regions import run_block as run_plain
from legoc_runtime.contract.stack import BrickShape
from legoc_runtime.layers.avx512 import avx512_lack, block
from legoc_runtime.layers.leaves import Attend, Mlp

BLOCKS = 4
CPU = torch.device("cpu")

Subjects = dict[str, tuple[int, Callable[[], object]]]
"""What is timed -> its multiply-accumulates, and one call."""


def leaves(brick: BrickShape) -> tuple[Attend, Mlp]:
    """A block with random weights."""
    attend, mlp = Attend(brick), Mlp(brick)
    for weight in (*attend.parameters(), *mlp.parameters()):
        weight.data.normal_(0, 0.02)
    return attend, mlp


def subjects(brick: BrickShape, batch: int, compiled: Callable[..., torch.Tensor]) -> Subjects:
    """The products alone, the compiled block, and the block of our own in chunks of every size."""
    blocks = [leaves(brick) for _ in range(BLOCKS)]
    tokens = torch.randn(batch, brick.windows, brick.tokens, brick.width)
    modulation = torch.randn(batch, 6 * brick.width)
    free_sizes(tokens, modulation)
    forms = block_signature(*blocks[0], Forms(fused=True))
    products = block_products(brick, batch)
    macs = BLOCKS * (products.macs + 2 * products.tokens * brick.tokens * brick.width)

    def in_chunks(chunk: int) -> None:
        with patch.object(block, "chunk_of", lambda *_: chunk):
            for each in blocks:
                block.run_block(*each, tokens, modulation)

    def as_compiled() -> None:
        for each in blocks:
            compiled(*each, tokens, modulation, forms.attention, forms.gelu)

    name = f"{brick.id}, {products.tokens} tokens in windows of {brick.tokens}"
    found: Subjects = {
        f"{name}: products alone": (products.macs, block_subject(products, CPU, torch.float32).run),
        f"{name}: compiled": (macs, as_compiled),
    }
    chosen = block.chunk_of(products.tokens, torch.get_num_threads())
    for chunk in (128, *block.CHUNKS):
        star = " (chosen)" if chunk == chosen else ""
        found[f"{name}: our own, chunks of {chunk}{star}"] = (macs, lambda chunk=chunk: in_chunks(chunk))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cpu-time", action="store_true", help="one thread, its own time")
    flags = parser.parse_args(arguments)
    try:
        shape = compile_spec(load_spec(flags.spec))[0].shape
    except SpecError as error:
        sys.exit(render_full(error.diagnostics))
    if lack := avx512_lack():
        parser.error(lack)
    clock = time.thread_time if flags.cpu_time else time.perf_counter
    if flags.cpu_time:
        torch.set_num_threads(1)
    kinds = {(brick.width, brick.tokens, brick.windows, brick.mlp_width): brick for brick in shape.bricks}
    compiled = torch.compile(run_plain, fullgraph=True)
    timed: Subjects = {SQUARE_NAME: (1024**3, square_subject(CPU, torch.float32).run)}
    for brick in kinds.values():
        timed |= subjects(brick, flags.batch, compiled)
    rates: dict[str, list[float]] = {name: [] for name in timed}
    with torch.no_grad():
        for round_ in range(-2, flags.rounds):  # the first two compile and warm up
            for name, (macs, run) in timed.items():
                began = clock()
                run()
                if round_ >= 0:
                    rates[name].append(macs / (clock() - began) / 1e9)
    print("| what | GMAC/s, median | best | of 1024^3 | best of best |\n|---|---|---|---|---|")
    square = rates[SQUARE_NAME]
    for name, found in rates.items():
        share, best = median(found) / median(square), max(found) / max(square)
        print(f"| {name} | {median(found):.1f} | {max(found):.1f} | {share:.0%} | {best:.0%} |")


if __name__ == "__main__":
    main()
