"""Everything that is asked of one H100, measured in one session of less than nine minutes; one table at the end.

    python benchmarks/gpu_session.py builds --prepare        # where the compiler is installed: makes the builds
    python benchmarks/gpu_session.py builds                  # on the GPU: torch 2.11 or newer, numpy, safetensors
    python benchmarks/gpu_session.py builds --device cpu     # the same paths, to see that they run

The second command imports nothing of the compiler but its clocks and the peer by hand, and needs neither pydantic nor
ruamel: builds are data. A part that fails says so in the table, and the others go on. `--spec tiny` prepares stacks
that a CPU runs in seconds.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, get_args

import torch
from torch import Tensor

from legoc.bench.device import clock_of, memory_of
from legoc.bench.plain import PlainStack
from legoc.bench.products import block_products, block_subject, square_subject
from legoc.bench.rounds import Subject, calls_for, interleaved, spread
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.backends.cuda_graphs import graphs_for
from legoc_runtime.contract.attention_rule import AttentionForm
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.contract.policy import Configuration, configuration_name, tabulate
from legoc_runtime.contract.schedule import evaluations, noise_levels
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.layers.attention import attend_windows
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore

ROOT = Path(__file__).parents[1]
SPECS = {
    "xl": {"pg": "specs/lego_pg_xl.yaml", "u": "specs/lego_u_xl.yaml", "dit": "specs/dit_xl_2.yaml"},
    "tiny": {"pg": "examples/tiny.yaml", "u": "examples/tiny.yaml", "dit": "specs/dit_s_2.yaml"},
}
TINY = {"dit": ["bricks.dit.depth=1", "bricks.dit.width=32", "bricks.dit.heads=2"]}
STEPS = 40
LEAST_S = 0.03

PEERS = {
    "pg full": ("56.5 ms (released code, compiled), DiT-XL/2 63.9 ms", "42 ms, then 39", "36 ms"),
    "pg skipped": ("24.4 ms", "11.5 ms, then 10.5", "9.5 ms"),
    "pg halfway": ("DiT-XL/2 63.9 ms", "26.8 ms, then 24.8", "22.8 ms"),
    "u full": ("92.7 ms (released code, compiled)", "68 ms", "63 ms"),
    "u skipped": ("-", "42 ms", "38 ms"),
    "dit full": ("63.9 ms", "58 ms", "50 ms"),
    "pg full, 2 rows": ("2.67 ms", "1.8 ms", "0.6 ms"),
    "pg skipped, 2 rows": ("1.36 ms", "0.8 ms", "0.3 ms"),
    "compile": ("33 s for one, whole graph", "under 60 s for all", "-"),
    "memory": ("-", "at most 5% more", "-"),
}
"""What is known of peers on an H100 (official code, bf16), what is to be reached, and the floor by arithmetic."""


@dataclass
class Session:
    """What the parts share, and the table that they fill.

    Attributes:
        builds: folder of the builds.
        device: where it runs.
        dtype: of weights and arithmetic.
        backend: of all stacks.
        batch: rows of the large batch.
        repeats: rounds.
        ends: time by `perf_counter` after which no further part begins.
        rows: what was measured, with its figure in words; and what it is set beside.
        stacks: the stacks that are loaded, by role.
    """

    builds: Path
    device: torch.device
    dtype: torch.dtype
    backend: str
    batch: int
    repeats: int
    ends: float
    rows: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    stacks: dict[str, BrickStack] = field(default_factory=dict[str, BrickStack])

    def add(self, what: str, figure: str, key: str = "") -> None:
        """A row of the table, said at once too: a session that is cut off has then told what it knew."""
        self.rows.append((what, figure, key))
        print(f"  {what}: {figure}", file=sys.stderr, flush=True)

    def part(self, name: str, run: Callable[[Session], None]) -> None:
        """One part: what it raises goes into the table, and the next part begins."""
        if time.perf_counter() > self.ends:
            self.rows.append((name, "not measured: the time was up", ""))
            return
        print(f"{name}, {self.ends - time.perf_counter():.0f} s left", file=sys.stderr, flush=True)
        try:
            run(self)
        except Exception as error:
            self.add(name, f"FAILED: {type(error).__name__}: {str(error).strip().splitlines()[:1]}")

    def times(self, subjects: Sequence[Subject]) -> dict[str, tuple[float, ...]]:
        """Interleaved samples, after two calls that are not counted."""
        clock = clock_of(self.device)
        calls = {s.name: calls_for(min(clock.seconds(s.run, 1) for _ in range(2)), LEAST_S) for s in subjects}
        return interleaved(subjects, calls, repeats=self.repeats, clock=clock)


def halfway_configurations(shape: StackShape, table: Sequence[Configuration]) -> tuple[Configuration, ...]:
    """The whole stack, then what else a schedule reaches."""
    return (shape.ids, *(each for each in dict.fromkeys(table) if each != shape.ids))


def loaded(session: Session, role: str, backend: Any) -> BrickStack:
    """A stack from its build, with random weights made on the device."""
    manifest = read_manifest(session.builds / role)
    store = WeightStore(manifest.shape, device=session.device, dtype=session.dtype)
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():
            weight.normal_(0.0, 0.02)
    return BrickStack(manifest, store, backend=backend)


def call(stack: BrickStack, configuration: Configuration, rows: int) -> Callable[[], Tensor]:
    """An evaluation as sampling makes it: one noise level, its conditioning looked up."""
    shape, device = stack.shape, stack.store.device
    x = torch.randn(rows, shape.channels, *shape.grid, device=device)
    labels = None if shape.classes is None else torch.arange(rows, device=device) % shape.classes
    given = None if labels is None else sorted({int(label) for label in labels})
    table, level = stack.tabulate([(configuration, 1.0)], given), torch.tensor(1.0)
    return lambda: stack(x, level, labels, configuration=configuration, table=table)


def runs_of(stack: BrickStack) -> tuple[tuple[Configuration, ...], dict[Configuration, int]]:
    """The configurations of `halfway`, and how many evaluations of a schedule each has."""
    shape = stack.shape
    if len(shape.bricks) == 1:
        return (shape.ids,), {shape.ids: 1}
    table = tabulate(stack.manifest.policy("halfway"), shape.ids, noise_levels(STEPS, shape.edm))
    counts: dict[Configuration, int] = {}
    for evaluation in evaluations("heun", STEPS):
        configuration = table.configurations[evaluation.level]
        counts[configuration] = counts.get(configuration, 0) + 1
    return halfway_configurations(shape, table.configurations), counts


def words(samples: Sequence[float]) -> str:
    """Median and quartiles in milliseconds."""
    found = spread(samples)
    return f"{1e3 * found.median:.4g} ms ({1e3 * found.low:.4g} to {1e3 * found.high:.4g})"


def compile_and_memory(session: Session) -> None:
    """PG alone on the device: cold compilation of every configuration, then what a second one adds in memory."""
    stack = session.stacks["pg"] = loaded(session, "pg", choose_backend(session.backend).backend)
    configurations, _ = runs_of(stack)
    began = time.perf_counter()
    for configuration in stack.configurations:
        call(stack, configuration, session.batch)()
    if session.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    session.add(
        f"compiling all {len(stack.configurations)} configurations, {stack.backend.name}", f"{seconds:.1f} s", "compile"
    )
    memory, weights = memory_of(session.device), sum(w.nbytes for w in stack.store.weights.values())
    calls = [call(stack, configuration, session.batch) for configuration in configurations]
    one = memory.growth_bytes(calls[0])
    every = memory.growth_bytes(lambda: [run() for run in calls])
    if one is None or every is None:
        session.add("peak memory of all configurations over that of one", memory.how, "memory")
        return
    more = (weights + every) / (weights + one) - 1
    figure = f"{more:+.1%} ({(weights + one) / 1e9:.2f} GB of which {weights / 1e9:.2f} GB weights)"
    session.add("peak memory of all configurations over that of one", figure, "memory")


def evaluations_of_all(session: Session) -> None:
    """PG, U and DiT in turns, at the large batch, beside their own matrix products."""
    for role in ("dit", "u"):
        session.stacks[role] = loaded(session, role, choose_backend(session.backend).backend)
    subjects: list[Subject] = [square_subject(session.device, session.dtype)]
    blocks: dict[str, list[tuple[str, int]]] = {}
    for role, stack in session.stacks.items():
        for configuration in runs_of(stack)[0]:
            subjects.append(
                Subject(f"{role} {configuration_name(configuration)}", call(stack, configuration, session.batch))
            )
            names = blocks.setdefault(f"{role} {configuration_name(configuration)}", [])
            for brick in (stack.shape.brick(id) for id in configuration):
                products = block_products(brick, session.batch)
                names.append((products.name, brick.depth))
                if products.name not in [subject.name for subject in subjects]:
                    subjects.append(block_subject(products, session.device, session.dtype))
    samples = session.times(subjects)
    for role, stack in session.stacks.items():
        configurations, counts = runs_of(stack)
        names = {configuration: f"{role} {configuration_name(configuration)}" for configuration in configurations}
        for which, configuration in zip(("full", "skipped"), configurations, strict=False):
            name = names[configuration]
            alone = sum(depth * median(samples[block]) for block, depth in blocks[name])
            share = alone / median(samples[name])
            session.add(
                f"{stack.manifest.name} {which}",
                f"{words(samples[name])}, products alone are {share:.0%} of it",
                f"{role} {which}",
            )
        if len(configurations) > 1:
            total = sum(counts.values())
            mean = [
                sum(count * samples[names[c]][i] for c, count in counts.items()) / total for i in range(session.repeats)
            ]
            against = 1 - median(
                m / d
                for m, d in zip(
                    mean, samples[f"dit {configuration_name(session.stacks['dit'].shape.ids)}"], strict=True
                )
            )
            full = 1 - median(m / f for m, f in zip(mean, samples[names[stack.shape.ids]], strict=True))
            session.add(
                f"{stack.manifest.name} halfway, mean over the schedule",
                f"{words(mean)}: {full:.1%} less than in full, {against:.1%} less than DiT at as many evaluations",
                f"{role} halfway",
            )


def latency(session: Session) -> None:
    """Two rows, one image under guidance, replayed from a CUDA graph."""
    loaded, graphs = session.stacks["pg"], graphs_for(session.device) if session.device.type == "cuda" else None
    backend = choose_backend(session.backend).backend
    stack = BrickStack(loaded.manifest, loaded.store, backend=backend, cuda_graphs=graphs)
    configurations, _ = runs_of(stack)
    subjects = [Subject(configuration_name(each), call(stack, each, 2)) for each in configurations]
    samples = session.times(subjects)
    kind = "CUDA graph" if session.device.type == "cuda" else "no graph on a CPU"
    for which, each in zip(("full", "skipped"), configurations, strict=False):
        figure = words(samples[configuration_name(each)])
        session.add(f"{stack.manifest.name} {which}, 2 rows, {kind}", figure, f"pg {which}, 2 rows")


def by_hand(session: Session) -> None:
    """The same stack by hand, and how far the compiled one is from it."""
    stack = session.stacks["pg"]
    plain = PlainStack(stack.shape, stack.store.weights)
    shape, device = stack.shape, session.device
    x, sigma = (
        torch.randn(session.batch, shape.channels, *shape.grid, device=device),
        torch.ones(session.batch, device=device),
    )
    samples = session.times([Subject("plain", lambda: plain(x, sigma)), Subject("stack", lambda: stack(x, sigma))])
    expected, found = plain(x, sigma), stack(x, sigma)
    error = float((found - expected).abs().max() / expected.abs().max())
    session.add(
        f"{stack.manifest.name} by hand, eagerly", f"{words(samples['plain'])}; estimates differ by {error:.1e}"
    )


def attention_forms(session: Session) -> None:
    """Attention over the shortest windows of PG in every form, forward."""
    brick = min(session.stacks["pg"].shape.bricks, key=lambda brick: brick.tokens)
    qkv = torch.randn(
        session.batch, brick.windows, brick.tokens, 3 * brick.width, device=session.device, dtype=session.dtype
    )
    compiled: Any = attend_windows
    if session.device.type == "cuda":
        compiled = torch.compile(attend_windows, fullgraph=True)  # pyright: ignore[reportUnknownMemberType]
    expected = attend_windows(qkv.double(), brick.heads, "sdpa")
    subjects: list[Subject] = []
    errors: dict[str, float] = {}
    forms: tuple[AttentionForm, ...] = get_args(AttentionForm)
    for form in forms:
        run: Any = compiled if form == "products" else attend_windows
        try:
            errors[form] = float((run(qkv, brick.heads, form).double() - expected).abs().max())
        except Exception as error:
            session.add(f"attention as `{form}`", f"cannot run here: {str(error).splitlines()[0]}")
            continue
        subjects.append(Subject(form, lambda run=run, form=form: run(qkv, brick.heads, form)))
    for form, samples in session.times(subjects).items():
        what = f"attention, {session.batch * brick.windows:,} windows of {brick.tokens}, as `{form}`"
        session.add(what, f"{words(samples)}, off by {errors[form]:.1e}")


def fp8_products(session: Session) -> None:
    """A block's products of PG's widest brick in row-wise fp8 against bf16: time, and error against float32."""
    brick = max(session.stacks["pg"].shape.bricks, key=lambda brick: brick.tokens * brick.windows * brick.width)
    rows = session.batch * brick.windows * brick.tokens
    x = torch.randn(rows, brick.width, device=session.device, dtype=session.dtype)
    w = torch.randn(brick.mlp_width, brick.width, device=session.device, dtype=session.dtype) * brick.width**-0.5
    exact = x.float() @ w.float().T
    quantised, scale = _rowwise(w)
    subjects = [Subject("bf16", lambda: x @ w.T), Subject("fp8", lambda: _fp8(x, quantised, scale))]
    for subject in subjects:
        found: Any = subject.run()
        error = float((found.float() - exact).norm() / exact.norm())
        samples = session.times([subject])[subject.name]
        session.add(
            f"product {rows:,}x{brick.width}x{brick.mlp_width}, {subject.name}",
            f"{words(samples)}, relative error {error:.1e}",
        )


def _rowwise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows scaled into float8's range [N, K], and the scales [N, 1] that undo it."""
    scale = x.abs().amax(dim=1, keepdim=True).float().clamp(min=1e-12) / torch.finfo(torch.float8_e4m3fn).max
    return (x.float() / scale).to(torch.float8_e4m3fn), scale


def _fp8(x: Tensor, weight: Tensor, weight_scale: Tensor) -> Tensor:
    """X @ weight.T with x quantised row by row; on a CPU the same numbers without fp8 hardware."""
    quantised, scale = _rowwise(x)
    if x.device.type == "cuda":
        multiply: Any = getattr(torch, "_scaled_mm")  # noqa: B009
        return multiply(quantised, weight.T, scale, weight_scale.T.contiguous(), out_dtype=x.dtype)
    return ((quantised.float() @ weight.float().T) * scale * weight_scale.T).to(x.dtype)


def prepare(folder: Path, which: str) -> None:
    """Write the builds: data, that a machine without the compiler reads."""
    from legoc.driver import compile_spec, write_build
    from legoc.spec import load_spec

    for role, path in SPECS[which].items():
        spec = load_spec(ROOT / path, TINY.get(role, []) if which == "tiny" else [])
        manifest, text = compile_spec(spec)
        write_build(manifest, text, folder / role)
        print(folder / role)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, and print the table last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", type=Path, help="folder of the builds")
    parser.add_argument("--prepare", action="store_true", help="make the builds and measure nothing")
    parser.add_argument("--spec", choices=SPECS, default="xl", help="which builds to make")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--backend", default="inductor", help="auto, inductor or eager")
    parser.add_argument("--batch", type=int, default=128, help="rows of the large batch")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=8.5, help="no part begins after so long")
    flags = parser.parse_args(given)
    if flags.prepare:
        prepare(flags.builds, flags.spec)
        return
    device = torch.device(flags.device)
    ends = time.perf_counter() + 60 * flags.minutes
    session = Session(flags.builds, device, torch.bfloat16, flags.backend, flags.batch, flags.repeats, ends)
    with torch.no_grad():
        for part in PARTS:
            session.part((part.__doc__ or part.__name__).splitlines()[0].rstrip("."), part)
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    print(f"\n{name}, torch {torch.__version__}, bf16, {flags.batch} rows, median of {flags.repeats} rounds in turns\n")
    print("| what | measured | peer, measured before | reach | floor |\n|---|---|---|---|---|")
    for what, figure, key in session.rows:
        print(f"| {what} | {figure} | {' | '.join(PEERS.get(key, ('-', '-', '-')))} |")


PARTS = (compile_and_memory, evaluations_of_all, latency, attention_forms, fp8_products, by_hand)

if __name__ == "__main__":
    main()
