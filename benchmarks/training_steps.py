"""What the scripts about training share: trainers that take turns, the memory of a step, a record's frame."""

from __future__ import annotations

import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch.profiler import ProfilerActivity, profile

from legoc.bench.machine import Machine, this_machine
from legoc.bench.rounds import ratio, spread
from legoc.driver import compile_spec
from legoc.spec import load_spec
from legoc_runtime.backends.base import Backend
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.data import ImageDataset
from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.feed import Feed
from legoc_runtime.training.ranks import ALONE
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.trainer import Trainer


class Steps(Protocol):
    """Something that trains."""

    def run(self, steps: int) -> None:
        """Make so many steps, and wait until the device has made them."""
        ...


@dataclass
class Ours:
    """The trainer of `legoc train`, as it is or with one of its choices undone.

    Attributes:
        trainer: makes steps.
        batch: images a step.
        ahead: whether a thread makes the next batch while a step runs.
    """

    trainer: Trainer
    batch: int
    ahead: bool = True

    def run(self, steps: int) -> None:
        """Make so many steps."""
        state, maker = self.trainer.state, self.trainer.maker
        if self.ahead:
            feed = Feed(maker, start=state.images, size=self.batch, device=state.store.device, ranks=ALONE)
            with feed:
                for _ in range(steps):
                    self.trainer.step(feed.take())
        else:
            for _ in range(steps):
                self.trainer.step(maker.make(state.images, self.batch).to(state.store.device))
        self.trainer.check_finite()  # waits for the device


def compiled(given: Namespace, share: float | None, disable: Sequence[str] = (), **train: Any) -> Manifest:
    """The spec with its `--set`, compiled; patch-bricks train on a share of their windows, None leaves that to it."""
    spec = load_spec(given.spec, given.set)
    bricks = tuple(
        brick if share is None or brick.covers_grid else replace(brick, train_patches=share)
        for brick in spec.shape.bricks
    )
    settings = replace(spec.train, batch=given.batch, precision=given.precision, **train)
    return compile_spec(replace(spec, shape=replace(spec.shape, bricks=bricks), train=settings), disable=disable)[0]


def as_typed(script: str, given: Namespace) -> str:
    """The command, as the record tells it."""
    changes = "".join(f" --set {shlex.quote(change)}" for change in given.set)
    share = "" if getattr(given, "share", None) is None else f" --share {given.share:g}"
    return (
        f"python benchmarks/{script}.py {given.spec}{changes} --batch {given.batch}{share} --steps {given.steps} "
        f"--rounds {given.rounds} --precision {given.precision} --device {given.device} --backend {given.backend} "
        f"-o {given.out}"
    )


def trainer_of(manifest: Manifest, data: ImageDataset, backend: Backend, device: torch.device) -> Trainer:
    """A trainer over weights of its own, drawn by the spec's seed."""
    data.check_fits(manifest.shape)
    store = WeightStore(manifest.shape, device=device)
    store.initialise(manifest.train.seed)
    stack = TrainingStack(manifest, store, backend=backend)
    return Trainer(manifest, data, manifest.train, TrainState(store, manifest.train), stack)


def in_turns(subjects: Mapping[str, Steps], *, rounds: int, steps: int) -> dict[str, tuple[float, ...]]:
    """Seconds of a step of each, round by round, after a sample that is not counted; another one begins each round."""
    names = list(subjects)
    for name in names:
        began = time.perf_counter()
        subjects[name].run(2)
        say(f"{name}: first steps after {time.perf_counter() - began:.1f} s")
    found: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            began = time.perf_counter()
            subjects[name].run(steps)
            found[name].append((time.perf_counter() - began) / steps)
        say(f"round {i + 1} of {rounds}")
    return {name: tuple(samples) for name, samples in found.items()}


def peak_bytes(steps: Steps, device: torch.device) -> int:
    """The most that two steps hold at once beside what was there before them: activations, gradients, workspaces.

    On CPUs by the profiler's record of every allocation.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        steps.run(2)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        steps.run(2)
    held = peak = 0
    for _, size in sorted(_allocations(profiled), key=lambda event: event[0]):
        held += size
        peak = max(peak, held)
    return peak


def _allocations(profiled: Any) -> Iterator[tuple[int, int]]:
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            yield event.start_ns(), event.nbytes()


def frame(question: str, command: str, device: torch.device, method: str) -> str:
    """The first five parts of a record (benchmarks/README.md)."""
    machine: Machine = this_machine(device)
    load = "" if machine.load is None else f"; load average {machine.load:.1f} when it ended"
    memory = "" if machine.memory_bytes is None else f", {machine.memory_bytes / 2**30:.0f} GiB"
    where = f"{machine.processor}, {machine.cores} cores, {machine.threads} threads{memory}"
    return "\n".join(
        [
            f"1. **Question.** {question}",
            f"2. **Command.** `{command}`, on {machine.date}, at commit {machine.commit}.",
            f"3. **Hardware.** {where}; {machine.gpu or 'no GPU used'}{load}.",
            f"4. **Versions.** Python {machine.python}, torch {machine.torch}, legoc {machine.legoc}.",
            f"5. **Method.** {method}",
            "6. **Numbers.**",
        ]
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def milliseconds(samples: Sequence[float]) -> str:
    """Median and quartiles."""
    found = spread(samples)
    return f"{1e3 * found.median:.4g} ({1e3 * found.low:.4g} to {1e3 * found.high:.4g})"


def times(over: Sequence[float], under: Sequence[float]) -> str:
    """The median of the rounds' own ratios."""
    return f"{ratio(over, under):.3f}"


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)
