"""A whole training run: checks, a place to continue from, and the loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from legoc_runtime.backends.base import Backend, choose_backend
from legoc_runtime.backends.device import choose_device
from legoc_runtime.checkpoint import Header, WeightsFile, read_state, set_aside
from legoc_runtime.checkpoint.layout import WEIGHTS
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.data.split import split
from legoc_runtime.data.training_set import TrainingSet
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.pretrained import open_store
from legoc_runtime.stack import TrainingStack
from legoc_runtime.training.beginning import STARTED_FROM, agreed_beginning, begin, beginning_words, started_from
from legoc_runtime.training.held_out import HeldOut
from legoc_runtime.training.holding import Shards, Whole, refuse_pretrained
from legoc_runtime.training.loop import Outcome, Session
from legoc_runtime.training.previews import Previews, preview_plan, weights_of
from legoc_runtime.training.progress import Progress
from legoc_runtime.training.ranks import Ranks, open_ranks, refuse_uneven
from legoc_runtime.training.resume import Resume, Start, check_change, check_continues, check_given, find_start, record
from legoc_runtime.training.rundir import check_free, locked, write_build_files
from legoc_runtime.training.settings import check_settings
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.trackers.tracker import check_trackers
from legoc_runtime.training.tracking import open_tracking
from legoc_runtime.training.trainer import Trainer


def train(
    manifest: Manifest,
    spec_text: str,
    dataset: TrainingSet,
    run: Path,
    *,
    progress: Progress,
    settings: TrainSettings | None = None,
    resume: Resume = "auto",
    change: Collection[str] = (),
    device: str = "auto",
    backend: str = "auto",
    write_build: Callable[[Manifest, str, Path], None] = write_build_files,
    stop: Callable[[], bool] = lambda: False,
    track: Sequence[str] = (),
    start_from: WeightsFile | None = None,
) -> Outcome:
    """Train a build on an image set, into a run directory.

    A run that stops and continues gives the numbers of one that never stopped, bit by bit on a CPU with the same
    number of threads and the same versions of torch and numpy.

    Args:
        manifest: the build.
        spec_text: its resolved spec.
        dataset: the images, those that are held out among them.
        run: the run directory; made if it is not there.
        progress: is told how it goes.
        settings: training settings, where they are not the manifest's own.
        resume: whether and from where the run continues.
        change: keys of settings that are meant to be other than the checkpoint's, e.g. `train.optimizer.lr`.
        device: `auto`, `cpu` or `cuda`.
        backend: `auto`, `eager` or `inductor`.
        write_build: writes the build into the run, so that the run needs nothing else.
        stop: asked before every step; once it says yes, the run saves a checkpoint and ends.
        start_from: weights that the run begins with, of the same architecture; averages begin there too. None draws
            them by the seed.
        track: trackers that follow the run: `tensorboard`, `wandb`, `trackio`.

    Raises:
        UsageError: settings, data or checkpoint do not fit the stack.
        RunError: the disk, the data or the numbers failed; the last checkpoint is whole.
    """
    settings = settings or manifest.train
    check_settings(settings)
    trackers = check_trackers(tuple(track))
    plan = preview_plan(manifest, settings)
    dataset.check_fits(manifest.shape, flip=settings.flip)
    trained, held_out = split(dataset, settings.held_out)
    now = record(manifest, settings, dataset)
    now[STARTED_FROM] = given = started_from(start_from, settings.start_from)
    check_given(resume)
    check_change(change)
    with open_ranks(device) as ranks:
        # what cannot be leaves no directory behind
        refuse_uneven(settings.batch, settings.accumulate, ranks)
        refuse_pretrained(manifest.shape, settings, ranks)
        place, choice = choose_device(device), choose_backend(backend)
        now["ranks"] = ranks.size
        with _written(run, ranks):
            start = _agreed(ranks, find_start(run, resume) if ranks.first else None, now)
            for note in check_continues(start, now, change) if start else ():
                progress.say(note)
            now[STARTED_FROM] = begun = agreed_beginning(start, given, settings.start_from)
            put_build = partial(_put_build, write_build, manifest, spec_text, run)
            same_spec = start is None or start.state["spec_hash"] == manifest.spec_hash
            if start and start.images >= settings.images:
                progress.say(f"{start.checkpoint} has seen {start.images:,} images: ask for more with --images")
                return Outcome(start.checkpoint, start.images, finished=True)
            if choice.reason:
                progress.say(choice.reason)
            if settings.sharding != "none" and ranks.size == 1:
                progress.say(f"sharding: {settings.sharding} has nobody to share with, since there is one process")
            if held_out:
                progress.say(f"{len(held_out):,} of the {len(dataset):,} images are held out")
            if start:
                progress.say(f"continuing from {start.checkpoint}")
            elif begun is not None:
                progress.say(beginning_words(begun))
            trainer = _trainer(manifest, trained, settings, start, place, choice.backend, ranks, start_from)
            if start and ranks.first:
                for later in set_aside(run, start.images):
                    progress.say(
                        f"a checkpoint of {int(later.name[:12]):,} images is of another course now: see {later}"
                    )
            if same_spec and ranks.first:
                put_build()
            # build and newest checkpoint of a run say the same spec: another one comes with its first checkpoint
            first = None if same_spec else put_build
            keep = _last_held_out(start, settings.snapshot_images) if start else None
            measure = HeldOut(run, trainer, held_out, manifest.shape, keep) if held_out else None
            previews = None
            if plan is not None and ranks.first:
                previews = Previews(run, manifest, plan, trainer.state, settings, choice.backend)
            tracking = None
            if ranks.first:
                tracking = open_tracking(trackers, run, manifest, settings, trainer.state.images, progress.say)
            header = Header(spec_text, manifest.spec_hash, 0, started_from=json.dumps(begun) if begun else "")
            shown = WEIGHTS if plan is None else weights_of(manifest.sample.ema, settings)
            session = Session(run, trainer, progress, header, now, start, first, measure, previews, tracking, shown)
            return session.train(stop)


@contextmanager
def _written(run: Path, ranks: Ranks) -> Generator[None]:
    """The run directory, in the hands of the one process that writes."""
    if not ranks.first:
        yield
        return
    check_free(run)
    with locked(run):
        yield


def _agreed(ranks: Ranks, start: Start | None, now: Mapping[str, Any]) -> Start | None:
    """Where the first process found that the run continues; and whether all are about to train the same.

    Raises:
        UsageError: this process has other settings, data or versions than the first.
        RunError: this process cannot read the checkpoint.
    """
    mine = json.dumps(now, sort_keys=True)
    if ranks.text(mine) != mine:
        raise UsageError(
            f"process {ranks.rank} would train something else than the first",
            help="give all the same command, data and versions of the packages",
        )
    found = ranks.text(str(start.checkpoint.resolve()) if start else "")
    return start if ranks.first or not found else Start(Path(found), read_state(Path(found)))


def _last_held_out(start: Start, every: int) -> int:
    """Up to which image lines of held-out losses stay.

    One that was written because the run ended, where none is due, goes: a longer run has none there.
    """
    images, batch = start.images, int(start.state["settings"]["batch"])
    ended_between = bool(start.state.get("final")) and (images - batch) // every == images // every
    return images - 1 if ended_between else images


def _put_build(
    write_build: Callable[[Manifest, str, Path], None], manifest: Manifest, spec_text: str, run: Path
) -> None:
    try:
        write_build(manifest, spec_text, run)
    except OSError as error:
        raise RunError(
            f"the build cannot be written to {run}: {error.strerror or error}", help="make room on the disk"
        ) from error


def _trainer(
    manifest: Manifest,
    dataset: TrainingSet,
    settings: TrainSettings,
    start: Start | None,
    device: torch.device,
    backend: Backend,
    ranks: Ranks,
    start_from: WeightsFile | None,
) -> Trainer:
    sharded = settings.sharding == "fsdp2" and ranks.size > 1
    # what is sharded is moved block by block, so that no device ever holds all of it
    store = open_store(manifest.shape, device="cpu" if sharded else device)
    if start is None:
        begin(store, settings.seed, start_from)
    held = Shards(store, ranks, device, settings.precision) if sharded else Whole(store, ranks)
    state = TrainState(store, settings, ranks, held)
    if start is not None:
        state.restore(start.checkpoint, start.state)
    recompute = settings.checkpoint_activations == "bricks"
    stack = TrainingStack(manifest, store, backend=backend, checkpoint_bricks=recompute, around=held.around)
    return Trainer(manifest, dataset, settings, state, stack, ranks)
