"""The whole of it: carried over, proven, written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from legoc.driver import compile_spec
from legoc.migrate.carry import beginnings, carried, carried_moments
from legoc.migrate.expected import expectations
from legoc.migrate.migration import Migration
from legoc.migrate.outcome import Outcome
from legoc.migrate.plan import Plan
from legoc.migrate.proof import Side, compared, noise_of
from legoc.migrate.write import write
from legoc_runtime.checkpoint.layout import AVERAGES, EMA_PREFIX, OPTIMIZER, PROFILE_PREFIX, WEIGHTS, checkpoints
from legoc_runtime.contract import codec
from legoc_runtime.errors import RunError
from legoc_runtime.training.metrics import Meter
from legoc_runtime.training.optimizer import SCALE
from legoc_runtime.training.precision import LossScale

Files = Mapping[str, Callable[[], Mapping[str, Tensor]]]
Say = Callable[[str], None]

_CPU = torch.device("cpu")


def migrate(plan: Plan, out: Path | None, *, say: Say = lambda text: None) -> Migration:
    """Carry a checkpoint over, prove it, and write it.

    Args:
        plan: what is asked, and possible.
        out: where; None writes nothing.
        say: is told what is being done.

    Returns:
        What was done. Where it does not hold, nothing was written.

    Raises:
        UsageError: a stack cannot be built by this version.
        RunError: the checkpoint is damaged, or the disk does not take the result.
    """
    assert plan.is_possible
    build = compile_spec(plan.after.spec)  # refuses what cannot be built before anything is read
    say(f"reading {plan.source.path}")
    _ = plan.source.digests
    new = beginnings(plan.tensors, plan.after.spec.shape, plan.after.spec.train.seed)
    migration = Migration(plan, _outcomes(plan, new, say), tuple(_notes(plan)))
    if out is None or not migration.holds:
        return migration
    say(f"writing {out}")
    write(migration, build, out, files_of(plan, new))
    return replace(migration, out=out)


def _outcomes(plan: Plan, new: Mapping[str, Tensor], say: Say) -> tuple[Outcome, ...]:
    """Both stacks on the fixed inputs, with every file of weights."""
    expected, sigmas = expectations(plan), noise_of(plan.before.spec)
    asked = tuple(dict.fromkeys(entry.before for entry in expected if entry.before is not None))
    old = Side(plan.before.spec, asked, sigmas)
    migrated = Side(plan.after.spec, tuple(entry.after for entry in expected), sigmas)
    found: list[Outcome] = []
    for kind in plan.source.weights:
        say(f"running both stacks with {kind}")
        weights = plan.source.read(kind)
        before = old.estimates(weights)
        after = migrated.estimates(carried(plan.tensors, weights, new))
        found += compared(expected, kind, before, after)
    return tuple(found)


def files_of(plan: Plan, new: Mapping[str, Tensor]) -> Files:
    """The files of the new checkpoint: kind -> what makes its tensors.

    An average that the spec asks for and the checkpoint does not have begins at the weights.
    """
    source = plan.source

    def weights(kind: str) -> dict[str, Tensor]:
        return carried(plan.tensors, source.read(kind), new)

    files = {kind: partial(weights, kind) for kind in source.weights}
    if source.is_file:
        return files
    for kind in _missing_averages(plan):
        files[kind] = partial(weights, WEIGHTS)
    return {**files, OPTIMIZER: partial(_optimizer, plan)} if OPTIMIZER in source.files else files


def _optimizer(plan: Plan) -> dict[str, Tensor]:
    tensors, sums = plan.source.read(OPTIMIZER), Meter(plan.after.spec.shape.trainable, _CPU).tensors()
    scale = _loss_scale(tensors) if plan.after.spec.train.precision == "fp16" else {}
    return {**carried_moments(plan.tensors, tensors), **{f"meter/{k}": v for k, v in sums.items()}, **scale}


def _loss_scale(optimizer: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The factor of the loss in float16: as it stood, or as it begins where the run had none."""
    first = {SCALE + name: value for name, value in LossScale(_CPU).tensors().items()}
    return {key: optimizer.get(key, value) for key, value in first.items()}


def _missing_averages(plan: Plan) -> list[str]:
    train = plan.after.spec.train
    kinds = [f"{EMA_PREFIX}{decay!r}" for decay in train.ema]
    kinds += [f"{PROFILE_PREFIX}{width!r}" for width in train.ema_profiles]
    return [kind for kind in kinds if kind not in plan.source.files]


def _notes(plan: Plan) -> list[str]:
    """What people should know about how training goes on."""
    source, settings = plan.source, plan.after.spec.train
    if source.state is None:
        return []
    notes: list[str] = []
    if OPTIMIZER not in source.files:
        notes.append("the checkpoint has no AdamW state: it can be sampled from, and not trained on")
    elif new := plan.counts.get("new", 0):
        notes.append(f"AdamW's moments are carried over; those of the {new:,} new tensors begin with their first step")
    if absent := _missing_averages(plan):
        notes.append(f"{', '.join(absent)} begins at the weights: the checkpoint has no such average")
    if source.run is not None and checkpoints(source.run, AVERAGES):
        notes.append(f"averages kept for `legoc ema` stay in {source.run / AVERAGES}: they are of the old stack")
    then: Mapping[str, Any] = source.state.get("settings", {})
    of_spec, now = codec.encode_fields(plan.before.spec.train), codec.encode_fields(settings)
    for name, value in then.items():
        if value != of_spec.get(name, value) and value != now.get(name, value):
            notes.append(f"{name} was {value} by a flag; training goes on with {now[name]}, as the spec says")
    if not plan.same_data:
        notes.append("the spec names other data: training goes on with it at the image where it stood")
    if source.images >= settings.images:
        notes.append(f"{source.images:,} images are all that the spec asks for: go on with --images")
    return notes


def check(migration: Migration) -> None:
    """Raise RunError unless every estimate that must be the same is."""
    if not migration.holds:
        raise RunError(
            "the migrated stack does not compute what it must; nothing was written",
            help="this is a fault of legoc, or of numbers in the checkpoint that are none: please report it",
        )
