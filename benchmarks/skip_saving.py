"""Does leaving bricks out save the time that its multiply-accumulates promise?

Times one evaluation of every configuration of a spec, interleaved, and compares the time that a skipped configuration
saves against the whole stack with what `legoc cost` says that it saves in MACs. Each brick is timed alone, too: what a
brick costs by itself explains what leaving it out saves.

    python benchmarks/skip_saving.py specs/emoji_32.yaml --batch 32 --repeats 7 --backend inductor
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import torch

from legoc.cost.counts import macs
from legoc.driver import compile_spec, lower_configuration
from legoc.spec import load_spec
from legoc_runtime.contract.policy import configuration_name
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore


def product_rate(threads_busy_s: float = 1.0) -> float:
    """Multiply-accumulates a second of the machine's own float32 matrix product (1024^3), median of what fits."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    times: list[float] = []
    until = perf_counter() + threads_busy_s
    while perf_counter() < until:
        started = perf_counter()
        torch.mm(a, b)
        times.append(perf_counter() - started)
    return 1024**3 / median(times)


def main() -> None:
    """Measure, and print a record in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--backend", choices=["eager", "inductor"], default="inductor")
    arguments = parser.parse_args()
    manifest, _ = compile_spec(load_spec(arguments.spec))
    store = WeightStore(manifest.shape)
    store.initialise(0)
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():  # fresh output layers are zero; timing should not meet special numbers
            weight.add_(torch.randn_like(weight) * 0.02)
    shape = manifest.shape
    alone = [lower_configuration(manifest, (id,)) for id in shape.ids]
    stack = BrickStack(manifest, store, backend=arguments.backend, extra_programs=alone)
    x = torch.randn(arguments.batch, shape.channels, *shape.grid)
    sigma = torch.full((arguments.batch,), 1.0)
    times: dict[tuple[str, ...], list[float]] = {configuration: [] for configuration in stack.configurations}
    with torch.no_grad():
        for configuration in times:
            for _ in range(2):
                stack(x, sigma, configuration=configuration)
        for _ in range(arguments.repeats):
            for configuration, seconds in times.items():
                started = perf_counter()
                stack(x, sigma, configuration=configuration)
                seconds.append(perf_counter() - started)
    report(manifest.name, arguments, times, {c: macs(shape, c) for c in times}, shape.ids)


def report(
    name: str,
    arguments: argparse.Namespace,
    times: dict[tuple[str, ...], list[float]],
    counts: dict[tuple[str, ...], int],
    whole: tuple[str, ...],
) -> None:
    """Print the record."""
    rate = product_rate()
    medians = {configuration: median(seconds) for configuration, seconds in times.items()}
    print(f"# Time saved by skipping, {name}, {datetime.now(UTC):%Y-%m-%d}\n")
    machine = platform.processor() or platform.machine()
    print(f"- {machine}, {torch.get_num_threads()} threads, torch {torch.__version__}, float32")
    print(f"- backend {arguments.backend}, batch {arguments.batch}, median of {arguments.repeats}, interleaved")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    print(f"- commit {commit.strip() or 'unknown'}, load average {os.getloadavg()[0]:.1f}")
    print(f"- 1024^3 matrix product in the same run: {rate / 1e9:.1f} GMAC/s")
    command = f"python benchmarks/skip_saving.py {arguments.spec} --batch {arguments.batch}"
    print(f"- `{command} --repeats {arguments.repeats} --backend {arguments.backend}`\n")
    print("| configuration | ms | quartiles | GMAC/s | MACs saved | time saved | time saved / MACs saved |")
    print("|---|---|---|---|---|---|---|")
    for configuration, seconds in sorted(medians.items(), key=lambda item: -counts[item[0]]):
        speed = counts[configuration] * arguments.batch / seconds / 1e9
        saved_macs = 1 - counts[configuration] / counts[whole]
        saved_time = 1 - seconds / medians[whole]
        ratio = f"{saved_time / saved_macs:.2f}" if configuration != whole else "-"
        low, _, high = quantiles(times[configuration], n=4)
        spread = f"{low * 1e3:.1f} to {high * 1e3:.1f}"
        cells = [configuration_name(configuration), f"{seconds * 1e3:.1f}", spread, f"{speed:.1f}"]
        print(f"| {' | '.join([*cells, f'{saved_macs:.1%}', f'{saved_time:.1%}', ratio])} |")


if __name__ == "__main__":
    main()
