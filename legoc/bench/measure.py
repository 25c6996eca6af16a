"""A request, measured: every model is called until it is warm, then all take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module

import torch

from legoc.bench.device import Memory, clock_of, memory_of
from legoc.bench.machine import this_machine
from legoc.bench.models import Model, models, stack_store
from legoc.bench.products import block_subject, square_subject
from legoc.bench.request import DiffusersPeer, Request
from legoc.bench.results import Bench, PolicyRun, Timed
from legoc.bench.rounds import Clock, Subject, calls_for, interleaved
from legoc.cost import counts
from legoc_runtime.contract.policy import Configuration, TruthTable
from legoc_runtime.contract.schedule import Evaluation
from legoc_runtime.contract.stack import StackShape

Say = Callable[[str], None]

LEAST_SAMPLE_S = 0.02
"""A sample lasts so long at least: shorter calls are timed several in a row."""


def measure(request: Request, say: Say) -> Bench:
    """Take a measurement. Compilers start cold: their caches of earlier runs are set aside meanwhile.

    Args:
        request: what to measure.
        say: takes lines of progress.
    """
    machine = this_machine(request.device)
    compiles = request.backend == "inductor" or any(isinstance(peer, DiffusersPeer) for peer in request.peers)
    with cold_caches(compiles), torch.no_grad():
        store, weights = stack_store(request)
        memory, clock = memory_of(request.device), clock_of(request.device)
        ready = list(models(request, store))
        warmed = [_warm(f"{i}", model, memory, clock, say) for i, model in enumerate(ready)]
        squares = [square_subject(request.device, request.torch_dtype)]
        blocks = dict.fromkeys(products for model in ready for products, _ in model.products)
        own = [*squares, *(block_subject(block, request.device, request.torch_dtype) for block in blocks)]
        subjects = [subject for one in warmed for subject in (one.subject, one.ahead) if subject is not None]
        samples = _rounds([*subjects, *own], request, clock, say)
    return Bench(
        name=request.manifest.name,
        weights=weights,
        parameters=counts.parameters(request.manifest.shape),
        batch=request.batch,
        dtype=request.dtype,
        device=str(request.device),
        backend=request.backend + (", CUDA graphs" if request.cuda_graphs else ""),
        steps=len(request.tables[0].levels),
        evaluations=len(request.evaluations),
        guided=request.guided,
        repeats=request.repeats,
        memory_how=memory.how,
        weight_bytes=sum(weight.numel() * weight.element_size() for weight in store.weights.values()),
        command=request.command,
        machine=machine,
        timed=tuple(one.timed(samples) for one in warmed),
        products=tuple((subject.name, samples[subject.name]) for subject in own),
        policies=tuple(_policy(request.manifest.shape, table, request) for table in request.tables),
        notes=request.notes,
    )


def cold_caches(compiles: bool) -> AbstractContextManager[object]:
    """Compile times are those of a first run: inductor's cache on disk is another, empty one meanwhile.

    Args:
        compiles: whether inductor runs at all.
    """
    return import_module("torch._inductor.utils").fresh_cache() if compiles else nullcontext()


class _Warm:
    """A model that has been called."""

    def __init__(self, key: str, model: Model, first_call_s: float, peak_bytes: int | None) -> None:
        self.model = model
        self.first_call_s = first_call_s
        self.peak_bytes = peak_bytes
        self.subject = Subject(key, model.run)
        self.ahead = None if model.ahead is None else Subject(f"{key} ahead", model.ahead.run)

    def timed(self, samples: Mapping[str, tuple[float, ...]]) -> Timed:
        model, seconds = self.model, samples[self.subject.name]
        ahead = tuple(0.0 for _ in seconds)
        if model.ahead is not None and self.ahead is not None:
            ahead = tuple(sample / model.ahead.levels for sample in samples[self.ahead.name])
        return Timed(
            model=model.name,
            label=model.label,
            kind=model.kind,
            configuration=model.configuration,
            macs=model.macs,
            executed_macs=model.executed_macs,
            products=model.products,
            seconds=seconds,
            ahead_seconds=ahead,
            first_call_s=self.first_call_s,
            peak_bytes=self.peak_bytes,
        )


def _warm(key: str, model: Model, memory: Memory, clock: Clock, say: Say) -> _Warm:
    began = time.perf_counter()
    clock.seconds(model.run, 1)
    first = time.perf_counter() - began
    say(f"{model.label}: first call {first:.1f} s")
    return _Warm(key, model, first, memory.growth_bytes(model.run))


def _rounds(subjects: list[Subject], request: Request, clock: Clock, say: Say) -> dict[str, tuple[float, ...]]:
    calls: dict[str, int] = {}
    for subject in subjects:
        clock.seconds(subject.run, 1)
        calls[subject.name] = calls_for(clock.seconds(subject.run, 1), LEAST_SAMPLE_S)
    began = time.perf_counter()

    def on_round(number: int) -> None:
        say(f"round {number} of {request.repeats}, {time.perf_counter() - began:.0f} s")

    return interleaved(subjects, calls, repeats=request.repeats, clock=clock, on_round=on_round)


def _policy(shape: StackShape, table: TruthTable, request: Request) -> PolicyRun:
    rows = rows_of(table, request.evaluations)
    whole = sum(rows.values()) * counts.macs(shape)
    own = sum(count * counts.macs(shape, configuration) for configuration, count in rows.items())
    levels = tuple((configuration, table.configurations.count(configuration)) for configuration in rows)
    return PolicyRun(table.policy, tuple(rows.items()), levels, 1 - own / whole)


def rows_of(table: TruthTable, evaluations: tuple[Evaluation, ...]) -> dict[Configuration, int]:
    """Configuration -> rows of evaluations that one image takes in it: two each where guidance acts."""
    rows: dict[Configuration, int] = {}
    for evaluation in evaluations:
        configuration = table.configurations[evaluation.level]
        each = counts.GUIDED_ROWS if table.levels[evaluation.level].guided else 1
        rows[configuration] = rows.get(configuration, 0) + each
    return rows
