"""`legoc train`: train a build on images; continues exactly where it stopped."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from legoc.cli.options import FROM_SPEC, Overrides, count, overridden, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from legoc_runtime.contract.manifest import Manifest
    from legoc_runtime.contract.settings import Resize, TrainSettings
    from legoc_runtime.training import Outcome, Progress
    from legoc_runtime.training.resume import Resume

EXIT_INTERRUPTED = 130

PATH_HELP = "A spec, a build, or a run to continue. [default: the newest build in build/]"
DATA_HELP = f"A zip with dataset.json, a folder of class folders, or a flat folder. {FROM_SPEC}"
RESUME_HELP = "auto: from the newest checkpoint, if there is one; never: only where there is none; or a checkpoint."


def command(
    path: Annotated[Path | None, Argument(help=PATH_HELP, show_default=False)] = None,
    data: Annotated[Path | None, Option(help=DATA_HELP, show_default=False)] = None,
    resize: Annotated[
        str | None,
        Option(help=f"How images come to the grid: none, box, adm or celeba_crop. {FROM_SPEC}", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, Option("-o", "--out", help="Run directory. [default: runs/NAME]", show_default=False)
    ] = None,
    images: Annotated[
        str | None, Option(help=f"Images to train on in all: 50000, 10k, 1M. {FROM_SPEC}", show_default=False)
    ] = None,
    batch: Annotated[str | None, Option(help=f"Images a step. {FROM_SPEC}", show_default=False)] = None,
    precision: Annotated[
        str | None, Option(help=f"What products compute in: float32, bf16 or fp16. {FROM_SPEC}", show_default=False)
    ] = None,
    accumulate: Annotated[
        int | None, Option(help=f"Parts that a step computes its batch in. {FROM_SPEC}", show_default=False)
    ] = None,
    lr: Annotated[float | None, Option(help=f"Peak learning rate. {FROM_SPEC}", show_default=False)] = None,
    ema: Annotated[
        list[float] | None,
        Option(help=f"Decay rate of an EMA; may be repeated. {FROM_SPEC}", show_default=False),
    ] = None,
    seed: Annotated[int | None, Option(help=f"Seed of the whole run. {FROM_SPEC}", show_default=False)] = None,
    held_out: Annotated[
        float | None,
        Option(help=f"Share of the images never trained on, for measuring: 0.02. {FROM_SPEC}", show_default=False),
    ] = None,
    snapshot_images: Annotated[
        str | None, Option(help=f"A checkpoint every so many images. {FROM_SPEC}", show_default=False)
    ] = None,
    log_images: Annotated[
        str | None, Option(help=f"A line of metrics every so many images. {FROM_SPEC}", show_default=False)
    ] = None,
    preview_images: Annotated[
        str | None, Option(help=f"A grid of samples every so many images. {FROM_SPEC}", show_default=False)
    ] = None,
    preview_seeds: Annotated[
        str | None, Option(help=f"The seeds that it shows. {FROM_SPEC}", show_default=False)
    ] = None,
    resume: Annotated[str, Option(help=RESUME_HELP)] = "auto",
    change: Annotated[
        list[str] | None,
        Option(
            metavar="KEY",
            help="A setting that is meant to be other than the run's so far: train.optimizer.lr. May be repeated.",
            show_default=False,
        ),
    ] = None,
    start_from: Annotated[
        Path | None,
        Option(
            "--from",
            help="Begin at image 0 with the weights of a run, a checkpoint, a file or an exported folder of the same "
            "architecture. "
            "[default: the spec's]",
            show_default=False,
        ),
    ] = None,
    track: Annotated[
        list[str] | None,
        Option(
            metavar="TRACKER",
            help="Follow the run in tensorboard, wandb or trackio as well; may be repeated. [default: none]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    backend: Annotated[str, Option(help="auto, eager, or inductor.")] = "auto",
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    overrides: Overrides = None,
) -> None:
    """Train a stack into a run directory: the build, metrics.jsonl and checkpoints.

    Ctrl-C and SIGTERM save a checkpoint first. A run that is called again continues exactly where it
    stopped. The last checkpoint is printed on stdout.
    """
    from legoc.build_directory import write_build
    from legoc.cli.train_from import beginning
    from legoc.cli.train_talk import open_progress
    from legoc_runtime.data import open_dataset
    from legoc_runtime.training import is_first, train

    refuse_stdin(path, "train")
    progress = open_progress(quiet or not is_first())  # one of the processes of a run speaks for all
    source, manifest, spec_text = _build(path, overrides or (), progress)
    counts = {"images": images, "batch": batch, "snapshot_images": snapshot_images, "log_images": log_images}
    counts["preview_images"] = preview_images
    flags: dict[str, Any] = {
        name: count(text, f"--{name.replace('_', '-')}") for name, text in counts.items() if text is not None
    }
    flags |= {
        "start_from": None if start_from is None else str(start_from),
        "precision": precision,
        "accumulate": accumulate,
        "held_out": held_out,
    }
    flags |= {"preview_seeds": preview_seeds, "learning_rate": lr, "seed": seed, "ema": tuple(ema) if ema else None}
    settings, notices = overridden(manifest.train, flags, overrides or ())
    refuse_idle_previews(settings, preview_seeds)
    for notice in notices:
        progress.say(notice)
    run = out if out is not None else _default_run(source, manifest)
    dataset = open_dataset(_data(data, manifest), resize=_resize(resize, manifest, progress), size=manifest.shape.grid)
    progress.say(dataset.describe())
    if dataset.labelled and manifest.shape.classes is None:
        progress.say("the stack is unconditional: labels are not used")
    begun = beginning(start_from, settings.start_from, run, spec_text)
    _judge_speed(progress, manifest, settings, device)
    progress.say(f"training {manifest.name} into {run}")
    with Stop(progress) as stop:
        outcome = train(
            manifest,
            spec_text,
            dataset,
            run,
            progress=progress,
            settings=settings,
            resume=_resume(resume),
            change=tuple(change or ()),
            device=device,
            backend=backend,
            write_build=write_build,
            stop=stop,
            track=tuple(track or ()),
            start_from=begun,
        )
    _report(outcome, stop, progress)


def _judge_speed(progress: Progress, manifest: Manifest, settings: TrainSettings, device: str) -> None:
    """Let lines say their share of the machine's product rate, where anybody reads them."""
    from legoc.cli.train_speed import measure_speed
    from legoc.cli.train_talk import Bar
    from legoc_runtime.backends.device import choose_device
    from legoc_runtime.training.progress import Lines
    from legoc_runtime.training.settings import check_settings

    if isinstance(progress, Bar | Lines):
        check_settings(settings)
        progress.words = speed = measure_speed(manifest, settings, choose_device(device))
        progress.say(speed.said())


def refuse_idle_previews(settings: TrainSettings, seeds: str | None) -> None:
    """Refuse seeds of previews where none are drawn.

    Raises:
        UsageError: naming the flag.
    """
    from legoc_runtime.errors import UsageError

    if seeds is not None and settings.preview_images is None:
        raise UsageError("--preview-seeds does nothing: no previews are drawn", help="pass --preview-images too")


class Stop:
    """Says yes once Ctrl-C or SIGTERM came. A second one ends the process as if this were not here.

    Attributes:
        signal: the signal that came, or None.
    """

    def __init__(self, progress: Progress) -> None:
        self.signal: signal.Signals | None = None
        self._progress = progress
        self._said = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def __call__(self) -> bool:
        """Whether to stop; says so the first time."""
        if self.signal is not None and not self._said:
            self._said = True
            self._progress.say("stopping with a checkpoint; once more to stop at once")
        return self.signal is not None

    def _caught(self, number: int, frame: FrameType | None) -> None:
        # a handler may interrupt a write to stderr, so it must not write there itself
        self.signal = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _build(path: Path | None, overrides: Sequence[str], progress: Progress) -> tuple[Path, Manifest, str]:
    from legoc.build_directory import newest_build
    from legoc.driver import compile_path

    source = path if path is not None else newest_build(Path())
    if path is None:
        progress.say(f"no spec given: taking {source}, the newest build")
    return source, *compile_path(source, overrides)


def _default_run(source: Path, manifest: Manifest) -> Path:
    """A run that was given is continued where it stands."""
    from legoc.build_directory import RUNS
    from legoc_runtime.checkpoint import checkpoints

    return source if checkpoints(source) else Path(RUNS) / manifest.name


def _data(data: Path | None, manifest: Manifest) -> Path:
    from legoc_runtime.errors import UsageError

    if data is not None:
        return data
    if manifest.data_path is None:
        raise UsageError("there are no images to train on", help="give --data, or the spec a `data: {path: ...}`")
    return Path(manifest.data_path)


def _resize(given: str | None, manifest: Manifest, progress: Progress) -> Resize:
    from legoc.data.request import resize_rule

    rule = manifest.data_resize if given is None else resize_rule(given)
    if rule != manifest.data_resize:
        progress.say(f"resize: {rule} instead of the spec's {manifest.data_resize}")
    return rule


def _resume(text: str) -> Resume:
    if text == "auto" or text == "never":
        return text
    return Path(text)


def _report(outcome: Outcome, stop: Stop, progress: Progress) -> None:
    """Say where the run stands; the exit code is 130 after Ctrl-C, as of any interrupted command."""
    from legoc_runtime.training import is_first

    if outcome.checkpoint is None:
        progress.say("stopped before the first step: there is nothing to save")
    elif is_first():
        echo(outcome.checkpoint)
    if not outcome.finished:
        progress.say(f"stopped at {outcome.images:,} images; the same command continues the run")
    sys.stdout.flush()
    if stop.signal is signal.SIGINT and not outcome.finished:
        sys.exit(EXIT_INTERRUPTED)
