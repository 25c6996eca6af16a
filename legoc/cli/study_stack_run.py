"""The second half of `legoc study stack`: every stack checked, trained, measured and kept."""

from __future__ import annotations

import json as json_text
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legoc.cli.options import count
from legoc.cli.output import echo
from legoc.cli.study_talk import keeping, leave
from legoc.history import HELD_OUT_NAME, METRICS_NAME
from legoc.study.directory import Study, default_name, open_study
from legoc.study.sweep import Stack, StackPoint, Sweep, plots, stacks, tables
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from legoc.hashes import SpecHashes
    from legoc_runtime.contract.manifest import Manifest
    from legoc_runtime.contract.settings import TrainSettings
    from legoc_runtime.data.training_set import TrainingSet

RUNS = "runs"
HELD_OUT = 0.05
"""Share held out where the spec holds out none: without any there is nothing to compare by."""

CHECKPOINTS_A_RUN = 4


@dataclass(frozen=True)
class Request:
    """A study, in the words of the command line; see `study_stack.command`."""

    spec: Path
    sweeps: tuple[Sweep, ...]
    overrides: tuple[str, ...]
    images: str | None
    held_out: float | None
    seed: int | None
    data: Path | None
    device: str
    backend: str
    quiet: bool


@dataclass(frozen=True)
class _Build:
    """A stack, compiled."""

    stack: Stack
    manifest: Manifest
    spec_text: str
    settings: TrainSettings


def study_stack(request: Request, out: Path | None, *, json: bool) -> None:
    """Train the stacks that are not trained yet, and write tables and plots of those asked for.

    Raises:
        SpecError: a stack of the sweep does not check.
        UsageError: the sweep, the data or the folder do not fit.
        RunError: a training failed.
    """
    from legoc_runtime.training.settings import check_settings

    base, hashes = _base(request)
    wanted = stacks(request.sweeps)
    builds = [_build(request, stack) for stack in wanted]
    dataset = _dataset(request, base)
    for build in builds:
        check_settings(build.settings)
        dataset.check_fits(build.manifest.shape, flip=build.settings.flip)
    asked = _asked(request, base, hashes, dataset)
    place = out if out is not None else Path("studies") / base.name / default_name("stack", asked)
    with open_study(place, "stack", asked, StackPoint) as study, keeping(study):
        _train_missing(request, study, builds, dataset)
        keys = [stack.key for stack in wanted]
        points = [study.points[key] for key in keys]
        notes = _notes(base, points)
        title = f"{base.name}: {' and '.join(sweep.name for sweep in request.sweeps)}"
        leave(study, keys, title, tables(points), plots(points, notes[0]), notes, json=json)


def _base(request: Request) -> tuple[Manifest, SpecHashes]:
    """What the sweep starts from, trained under the flags; and the hashes of the spec itself."""
    from legoc.driver import describe_spec
    from legoc.hashes import spec_hashes
    from legoc.spec import load_spec

    if request.spec.is_dir():
        raise UsageError(f"{request.spec} is a folder, and a sweep changes a spec", help="give the spec file")
    spec = load_spec(request.spec, request.overrides)
    base = describe_spec(spec)[0]
    for sweep in request.sweeps:
        if sweep.brick not in base.shape.ids:
            help = f"its bricks are {', '.join(base.shape.ids)}"
            raise UsageError(f"{request.spec} has no brick `{sweep.brick}`", help=help)
        if sweep.key == "id":
            raise UsageError("a sweep of ids would change no stack", help="sweep depth, width, size and the like")
    if base.train.start_from is not None:
        message = f"{request.spec} begins with weights (train.start_from), which fit one of the stacks at most"
        raise UsageError(message, help="--set train.start_from=null")
    return replace(base, train=_settings(request, base.train)), spec_hashes(spec)


def _settings(request: Request, train: TrainSettings) -> TrainSettings:
    """The spec's training under the flags, with a checkpoint now and then."""
    images = train.images if request.images is None else count(request.images, "--images")
    held_out = train.held_out if request.held_out is None else request.held_out
    if request.held_out is None and held_out == 0:
        held_out = HELD_OUT
    if held_out == 0:
        raise UsageError("nothing is held out to measure on", help="give --held-out a share such as 0.05")
    seed = train.seed if request.seed is None else request.seed
    snapshot = min(train.snapshot_images, max(train.batch, images // CHECKPOINTS_A_RUN))
    return replace(train, images=images, held_out=held_out, seed=seed, snapshot_images=snapshot, keep=1)


def _build(request: Request, stack: Stack) -> _Build:
    from legoc.driver import compile_spec
    from legoc.spec import load_spec

    spec = load_spec(request.spec, (*request.overrides, *stack.overrides))
    manifest, text = compile_spec(spec)
    return _Build(stack, manifest, text, _settings(request, manifest.train))


def _dataset(request: Request, base: Manifest) -> TrainingSet:
    from legoc_runtime.data import open_dataset

    path = request.data or (Path(base.data_path) if base.data_path else None)
    if path is None:
        raise UsageError("there are no images to train on", help="give --data, or the spec a `data: {path: ...}`")
    return open_dataset(path, resize=base.data_resize, size=base.shape.grid)


def _asked(request: Request, base: Manifest, hashes: SpecHashes, dataset: TrainingSet) -> dict[str, Any]:
    """What every point depends on; the values that are swept may become more."""
    return {
        "stack": base.name,
        "spec": {"architecture": hashes.architecture, "training": hashes.training},
        "swept": [sweep.name for sweep in request.sweeps],
        "images": base.train.images,
        "held_out": base.train.held_out,
        "seed": base.train.seed,
        "data": dataset.fingerprint,
    }


def _train_missing(request: Request, study: Study[StackPoint], builds: Sequence[_Build], dataset: TrainingSet) -> None:
    missing = [build for build in builds if build.stack.key not in study.points]
    echo(f"{len(builds) - len(missing)} of {len(builds)} stacks are trained already", err=True)
    for i, build in enumerate(missing):
        echo(f"{build.stack.key}: {i + 1} of {len(missing)}, {build.settings.images:,} images", err=True)
        run = study.path / RUNS / build.stack.folder
        _train(request, build, dataset, run)
        study.add(_point(build, run))


def _train(request: Request, build: _Build, dataset: TrainingSet, run: Path) -> None:
    """Train a stack to its end; a signal saves a checkpoint and ends the command."""
    from legoc.build_directory import write_build
    from legoc.cli.train import EXIT_INTERRUPTED, Stop
    from legoc.cli.train_talk import open_progress
    from legoc_runtime.training import train

    progress = open_progress(request.quiet)
    with Stop(progress) as stop:
        outcome = train(
            build.manifest,
            build.spec_text,
            dataset,
            run,
            progress=progress,
            settings=build.settings,
            device=request.device,
            backend=request.backend,
            write_build=write_build,
            stop=stop,
        )
    if not outcome.finished:
        echo(f"stopped at {outcome.images:,} images of {run.name}; the same command goes on from there", err=True)
        sys.exit(EXIT_INTERRUPTED if stop.signal is signal.SIGINT else 0)


def _point(build: _Build, run: Path) -> StackPoint:
    """What a finished run says of itself.

    Raises:
        RunError: it has no held-out loss.
    """
    from legoc.cost import macs, parameters, training_macs

    shape = build.manifest.shape
    line, metrics = _last(run / HELD_OUT_NAME), _last(run / METRICS_NAME)
    return StackPoint(
        values=build.stack.values,
        parameters=parameters(shape),
        macs=macs(shape),
        training_macs=training_macs(shape, build.settings),
        images=int(line["images"]),
        seconds=float(metrics["seconds"]),
        examples=int(line["examples"]),
        held_out=line["loss"],
        by_brick=line["loss_by_brick"],
        by_noise=line["loss_by_noise"],
    )


def _last(path: Path) -> dict[str, Any]:
    try:
        return json_text.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    except (OSError, ValueError, IndexError) as error:
        raise RunError(
            f"{path} has no last line to read: {error}", help="remove the run, and train it again"
        ) from error


def _notes(base: Manifest, points: Sequence[StackPoint]) -> list[str]:
    train, point = base.train, points[0]
    notes = [
        f"{point.images:,} images each, seed {train.seed}; loss of the raw weights on {point.examples:,} held-out "
        "examples, the same for every stack",
        "MACs are of one evaluation; one run of each stack: differences as small as those between seeds say nothing",
    ]
    if train.warmup_images * 2 > point.images:
        notes.append(f"the learning rate rises over {train.warmup_images:,} images: set train.warmup_images lower")
    return notes
