"""What each pass and each choice of a kernel is worth: everything on, everything off, and each one off, in turns.

    python benchmarks/ablation.py specs/lego_pg_s.yaml --batch 8
    python benchmarks/ablation.py specs/lego_pg_xl.yaml --batch 128 --device cuda --dtype bf16

The rows are what the catalogs of passes list, so that a new pass has its row without a change here; beside them stand
the table of conditioning, blocks of our own, the forms of attention and GELU, regional
compilation, and on GPUs that have them 8-bit products in the large bricks. Every row's estimate is held
against that of the first row before anything is timed. A ratio over 1 is what a row costs by doing without.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch

from legoc.bench.device import clock_of
from legoc.bench.machine import this_machine
from legoc.bench.measure import LEAST_SAMPLE_S, cold_caches
from legoc.bench.models import Arguments, Model, arguments, models, random_store, stack_models
from legoc.bench.request import Request, make_request
from legoc.bench.rounds import Subject, calls_for, interleaved, ratio, spread
from legoc.driver import compile_spec
from legoc.lower.passes.catalog import exact_sampling
from legoc.lower.passes.opt_in.catalog import opt_in_sampling
from legoc.passes.catalog import NEEDED
from legoc.spec import load_spec
from legoc_runtime.backends.base import Backend, choose_backend
from legoc_runtime.backends.device import DTYPES
from legoc_runtime.contract.gelu_rule import GeluForm, gelu_form
from legoc_runtime.contract.policy import configuration_name
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.layers.fp8 import fp8_lack
from legoc_runtime.link.opt_in.fp8 import Fp8, large_bricks
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore


@dataclass(frozen=True)
class Variant:
    """A row.

    Attributes:
        name: what it does without, or does beside.
        backend: how it is compiled; rows with the same backend object share what was compiled.
        disable: exact passes that do not run.
        enable: opt-in passes that do.
        tables: whether calls look their conditioning up.
        fp8: bricks that multiply in 8 bits, or None.
    """

    name: str
    backend: Backend
    disable: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    tables: bool = True
    fp8: Fp8 | None = None


def variants(backend: str, device: str, *, whole: bool) -> Iterator[Variant]:
    """The rows, `all on` first.

    Args:
        backend: its name; only inductor has forms to choose.
        device: `cpu` or `cuda`.
        whole: also compile each configuration at once instead of block by block, which takes minutes.
    """
    shared = choose_backend(backend).backend
    passes = tuple(step.name for step in exact_sampling())
    everything = Variant("all on", shared)
    yield everything
    for name in passes:
        yield replace(everything, name=f"without {name}", disable=(name,))
    yield replace(everything, name="without the table of conditioning", tables=False)
    yield from _forms(everything, device, whole) if backend == "inductor" else ()
    for step in opt_in_sampling():
        yield replace(everything, name=f"with {step.name} ({step.tolerance})", enable=(step.name,))
    yield replace(everything, name="without any pass, compiled", disable=passes, tables=False)
    if backend != "eager":
        yield replace(everything, name="eager", backend=choose_backend("eager").backend)
        eager = choose_backend("eager").backend
        yield Variant("all off: no pass, no table, eager", eager, disable=passes, tables=False)


def eight_bits(everything: Variant, shape: StackShape, device: torch.device, dtype: torch.dtype) -> Iterator[Variant]:
    """The row with 8-bit products in the large bricks, where there are such bricks and the hardware for them."""
    if (large := large_bricks(shape)) and fp8_lack(device, dtype) is None:
        yield replace(everything, name=f"with 8-bit products in {', '.join(large)}", fp8=Fp8(large))


def _forms(everything: Variant, device: str, whole: bool) -> Iterator[Variant]:
    from legoc_runtime.backends.inductor import Inductor

    chosen = gelu_form(device="cuda" if device == "cuda" else "cpu", fused=True)
    forms: tuple[GeluForm, ...] = get_args(GeluForm)
    if device != "cuda":
        yield replace(everything, name="every block compiled", backend=Inductor(own_blocks=False))
    yield replace(everything, name="every block compiled, attention by SDPA", backend=Inductor(attention="sdpa"))
    for form in forms:
        if form != chosen and (form != "epilogue" or device == "cuda"):
            yield replace(
                everything,
                name=f"every block compiled, GELU as `{form}` instead of `{chosen}`",
                backend=Inductor(gelu=form),
            )
    if whole:
        yield replace(everything, name="whole configurations compiled at once", backend=Inductor(regions=False))


def built(variant: Variant, request: Request, store: WeightStore, given: Arguments) -> list[Model]:
    """The models of a row: one a configuration."""
    spec = load_spec(request.path)
    manifest, _ = compile_spec(spec, policies=("halfway",), disable=variant.disable, enable=variant.enable)
    stack = BrickStack(manifest, store, backend=variant.backend, fp8=variant.fp8)
    return list(stack_models(variant.name, "stack", stack, given, request.levels, tables=variant.tables))


def difference(found: object, expected: object) -> float:
    """The largest difference of two estimates, over the largest value."""
    assert isinstance(found, torch.Tensor)
    assert isinstance(expected, torch.Tensor)
    return float((found - expected).abs().max() / expected.abs().max())


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print a record in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--batch", type=int, default=8, help="rows of one evaluation")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--backend", choices=["eager", "inductor"], default="inductor")
    parser.add_argument("--whole", action="store_true", help="also compile whole configurations at once (slow)")
    flags = parser.parse_args(words)
    request = make_request(
        flags.spec, policies=["halfway"], batch=flags.batch, dtype=flags.dtype, device=flags.device,
        backend=flags.backend, repeats=flags.repeats,
    )  # fmt: skip
    command = ["python benchmarks/ablation.py", str(flags.spec), f"--batch {flags.batch} --repeats {flags.repeats}"]
    command += [f"--dtype {flags.dtype} --device {flags.device} --backend {flags.backend}"]
    with cold_caches(flags.backend == "inductor"), torch.no_grad():
        rows = list(variants(flags.backend, flags.device, whole=flags.whole))
        rows += eight_bits(rows[0], request.manifest.shape, request.device, request.torch_dtype)
        measure(rows, request, " ".join(command) + (" --whole" if flags.whole else ""))


def measure(rows: list[Variant], request: Request, command: str) -> None:
    """Time the rows and print them."""
    machine, clock = this_machine(request.device), clock_of(request.device)
    store = random_store(request.manifest.shape, request.device, request.torch_dtype)
    given = arguments(request.manifest.shape, request.batch, request.device)
    first: dict[str, object] = {}
    subjects: list[Subject] = []
    notes: dict[str, tuple[float, float]] = {}
    for variant in rows:
        began = time.perf_counter()
        for model in built(variant, request, store, given):
            configuration = configuration_name(model.configuration)
            found = model.run()
            error = difference(found, first.setdefault(configuration, found))
            subjects.append(Subject(f"{variant.name}|{configuration}", model.run))
            notes[variant.name] = (time.perf_counter() - began, max(error, notes.get(variant.name, (0.0, 0.0))[1]))
        say(f"{variant.name}: {notes[variant.name][0]:.1f} s to first estimates, off by {notes[variant.name][1]:.1e}")
    for model in models(request, store):
        if model.kind == "plain":
            subjects.append(Subject(f"the same stack by hand|{configuration_name(model.configuration)}", model.run))
    calls = {one.name: calls_for(min(clock.seconds(one.run, 1) for _ in range(2)), LEAST_SAMPLE_S) for one in subjects}
    samples = interleaved(subjects, calls, repeats=request.repeats, clock=clock, on_round=lambda i: say(f"round {i}"))
    on = machine.gpu or f"{machine.processor}, {machine.cores} cores, {machine.threads} threads"
    load = "" if machine.load is None else f"; load average {machine.load:.1f} when it began"
    print(f"`{command}`, {machine.date}, commit {machine.commit}\n")
    print(f"{on}{load}; Python {machine.python}, torch {machine.torch}. {request.dtype}, {request.batch} rows; median")
    print(f"of {request.repeats} interleaved rounds, ratios are medians of the rounds' own. Graph passes cannot be")
    print("turned off: " + "; ".join(f"`{name}`: {why}" for name, why in NEEDED.items()) + ".\n")
    print(table(samples, notes))


def table(samples: dict[str, tuple[float, ...]], notes: dict[str, tuple[float, float]]) -> str:
    """The rows, a pair of columns for each configuration."""
    names = list(dict.fromkeys(name.partition("|")[0] for name in samples))
    configurations = list(dict.fromkeys(name.partition("|")[2] for name in samples))
    head = ["row", *(word for each in configurations for word in (f"{each}, ms", "over all on")), "largest difference"]
    lines = [head, ["---"] * len(head)]
    for name in names:
        cells = [name]
        for configuration in configurations:
            own, base = samples[f"{name}|{configuration}"], samples[f"{names[0]}|{configuration}"]
            found = spread(own)
            cells += [f"{1e3 * found.median:.4g} ({1e3 * found.low:.4g} to {1e3 * found.high:.4g})"]
            cells += [f"{ratio(own, base):.3f}"]
        lines.append([*cells, f"{notes[name][1]:.1e}" if name in notes else "-"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
