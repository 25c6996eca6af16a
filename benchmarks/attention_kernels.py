"""Which form of attention is fastest for windows of few tokens?

Times the forms of `attend_windows`, compiled, from the projection's layout [N, W, L, 3*D] to [N, W, L, D]: forward, and
forward with backward. The forms of one size run alternately, so that a ratio holds although the machine drifts. The
number of tokens in all is the same for every length.

    python benchmarks/attention_kernels.py                    # two forms on a CPU
    python benchmarks/attention_kernels.py --device cuda --dtype bfloat16 --windows 8192 --heads 16 --head-dims 64 72
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median, quantiles
from time import perf_counter

import torch
from torch import Tensor

from legoc_runtime.contract.attention_rule import MAX_PACKED_WINDOW, AttentionForm, attention_form
from legoc_runtime.layers.attention import attend_windows

Run = Callable[[], None]


def main() -> None:
    """Measure, and print a record in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--tokens", type=int, nargs="+", default=[4, 6, 8, 12, 16])
    parser.add_argument("--head-dims", type=int, nargs="+", default=[64, 72])
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--windows", type=int, default=1024, help="windows of 4 tokens; longer ones are fewer")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    forms: list[AttentionForm] = ["sdpa", "products"] + (["packed"] if arguments.device == "cuda" else [])
    heading(arguments)
    print(f"| tokens | head dim | pass | {' | '.join(f'{form}, ms' for form in forms)} | the fastest | by the rule |")
    print("|---" * (5 + len(forms)) + "|")
    for tokens in arguments.tokens:
        for head_dim in arguments.head_dims:
            for training in (False, True):
                measure(arguments, forms, tokens, head_dim, training)


def measure(
    arguments: argparse.Namespace, forms: list[AttentionForm], tokens: int, head_dim: int, training: bool
) -> None:
    """Print the row of one size: median and quartiles of each form, and the ratio of the slower ones."""
    shape = (1, arguments.windows * 4 // tokens, tokens, 3 * arguments.heads * head_dim)
    qkv = torch.randn(shape, device=arguments.device, dtype=getattr(torch, arguments.dtype))
    taken = [form for form in forms if form != "packed" or tokens <= MAX_PACKED_WINDOW]
    torch.compiler.reset()
    runs = {form: runner(qkv, arguments.heads, form, training) for form in taken}
    times: dict[AttentionForm, list[float]] = {form: [] for form in taken}
    for run in runs.values():
        for _ in range(3):
            run()
    for _ in range(arguments.repeats):
        for form, run in runs.items():
            times[form].append(milliseconds(run, arguments.device))
    medians = {form: median(values) for form, values in times.items()}
    fastest = min(medians, key=lambda form: medians[form])
    others = ", ".join(f"{medians[form] / medians[fastest]:.2f}x {form}" for form in taken if form != fastest)
    rule = attention_form(tokens, device=arguments.device, fused=True, training=training)
    cells = [cell(times[form]) if form in times else "-" for form in forms]
    step = "forward, backward" if training else "forward"
    print(
        f"| {tokens} | {head_dim} | {step} | {' | '.join(cells)} | {fastest} ({others}) | {rule} |",
        flush=True,
    )


def runner(qkv: Tensor, heads: int, form: AttentionForm, training: bool) -> Run:
    """One compiled evaluation, with its gradient when training."""
    # a function of its own for each form, so that none is compiled for all
    compiled = torch.compile(lambda given: attend_windows(given, heads, form), fullgraph=True, dynamic=False)
    if not training:

        def forward() -> None:
            with torch.no_grad():
                compiled(qkv)

        return forward
    given = qkv.clone().requires_grad_()
    grad = torch.randn(*qkv.shape[:3], qkv.shape[3] // 3, device=qkv.device, dtype=qkv.dtype)

    def both() -> None:
        torch.autograd.grad(compiled(given), given, grad)

    return both


def milliseconds(run: Run, device: str) -> float:
    """Time of one run, by CUDA events where there is CUDA."""
    if device == "cpu":
        started = perf_counter()
        run()
        return (perf_counter() - started) * 1e3
    before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    before.record()
    run()
    after.record()
    torch.cuda.synchronize()
    return before.elapsed_time(after)


def cell(times: list[float]) -> str:
    """Median and quartiles."""
    low, _, high = quantiles(times, n=4)
    return f"{median(times):.3f} ({low:.3f} to {high:.3f})"


def heading(arguments: argparse.Namespace) -> None:
    """What was measured where."""
    print(f"# Forms of attention in short windows, {datetime.now(UTC):%Y-%m-%d}\n")
    machine = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor() or "CPU"
    print(f"- {machine}, {torch.get_num_threads()} threads, load average {os.getloadavg()[0]:.1f}")
    print(f"- Python {platform.python_version()}, torch {torch.__version__}, {arguments.dtype}")
    print(f"- {arguments.windows * 4} tokens in all, {arguments.heads} heads; median and quartiles of", end=" ")
    print(f"{arguments.repeats}, the forms of a row alternating\n")


if __name__ == "__main__":
    main()
