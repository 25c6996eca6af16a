"""The training loop: steps, lines of metrics and checkpoints, each where its turn comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from legoc_runtime.checkpoint import Header, prune, write_checkpoint
from legoc_runtime.checkpoint.layout import AVERAGES, WEIGHTS, directory
from legoc_runtime.training.explosion import Watch
from legoc_runtime.training.feed import Feed
from legoc_runtime.training.held_out import HeldOut
from legoc_runtime.training.metrics import MetricsFile
from legoc_runtime.training.posthoc import halved, snapshot_state
from legoc_runtime.training.previews import Previews
from legoc_runtime.training.progress import Progress
from legoc_runtime.training.resume import Start
from legoc_runtime.training.sharded_save import write_shards
from legoc_runtime.training.tracking import Tracking
from legoc_runtime.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        checkpoint: the checkpoint where it stands, or None when it was stopped before its first step.
        images: images trained on.
        finished: whether that is all that were asked for.
    """

    checkpoint: Path | None
    images: int
    finished: bool


class Session:
    """One process's part of a run.

    Args:
        run: the run directory.
        trainer: makes the steps.
        progress: is told how it goes.
        header: header of the checkpoints' files; its `images` are set with each.
        record: what `state.json` keeps about the run.
        start: the checkpoint that the trainer was restored from.
        before_first_save: called once, before the first checkpoint.
        held_out: measures on images that are not trained on, if there are any; before every checkpoint that is due.
        previews: draws samples where it is their turn, in one of the processes.
        tracking: trackers, which are told what is written; in one of the processes.
        preview_of: the kind of weights that previews are drawn from, which all processes have a part of.
    """

    def __init__(
        self,
        run: Path,
        trainer: Trainer,
        progress: Progress,
        header: Header,
        record: Mapping[str, Any],
        start: Start | None,
        before_first_save: Callable[[], None] | None,
        held_out: HeldOut | None = None,
        previews: Previews | None = None,
        tracking: Tracking | None = None,
        preview_of: str = WEIGHTS,
    ) -> None:
        self._run = run
        self._trainer = trainer
        self._state = trainer.state
        self._settings = trainer.settings
        self._progress = progress
        self._header = header
        self._record = record
        self._saved = start.checkpoint if start else None
        self._before_first_save = before_first_save
        self._held_out = held_out
        self._previews = previews
        self._preview_of = preview_of
        self._tracking = tracking
        self._ranks = trainer.ranks
        stops = self._settings.on_explosion == "stop"
        self._watch = Watch(run, images=self._state.logged_images, stops=stops, say=progress.say)
        self._metrics = MetricsFile(run, keep_images=self._state.logged_images) if self._ranks.first else None

    def train(self, stop: Callable[[], bool]) -> Outcome:
        """Train until all images are done or `stop` says yes; ends with a checkpoint."""
        state, settings = self._state, self._settings
        begun = state.images
        self._progress.begin(images=begun, total=settings.images)
        maker, device = self._trainer.maker, state.store.device
        feed = Feed(maker, start=begun, size=settings.batch, device=device, ranks=self._ranks)
        try:
            with feed:
                # a signal may reach one process a step before the others: they stop together
                while state.images < settings.images and not self._ranks.any(stop()):
                    before, clock = state.images, time.perf_counter()
                    self._trainer.step(feed.take())
                    self._progress.advance(state.images)
                    state.seconds += time.perf_counter() - clock
                    self._what_is_due(before)
            if state.images > begun and not self._is_saved():
                self._save()
        finally:
            self._progress.end()
            if self._metrics:
                self._metrics.close()
            if self._held_out:
                self._held_out.close()
            if self._previews:
                self._previews.close()
            if self._tracking:
                self._tracking.finish()
        return Outcome(self._saved, state.images, self._finished)

    @property
    def _finished(self) -> bool:
        return self._state.images >= self._settings.images

    def _what_is_due(self, before: int) -> None:
        """Lines and checkpoints that fell due when `images` moved on from `before`."""
        state = self._state

        def passed(every: int) -> bool:
            return before // every < state.images // every

        if passed(self._settings.log_images):
            self._log()
            state.meter.clear()
            state.logged_images, state.logged_seconds = state.images, state.seconds
        elif self._finished:
            # before its checkpoint, after which nothing may be missing; `logged_images` stays: a longer run drops
            # this line again and goes on as if it had never ended here
            self._log()
        if self._settings.ema_profiles and (passed(self._settings.ema_snapshot_images) or self._finished):
            if self._in_doubt and not self._finished:
                self._progress.say(f"no averages kept at {state.images:,} images: the loss is not back")
            else:
                self._keep_averages()
        if self._held_out and (passed(self._settings.snapshot_images) or self._finished):
            self._measure(self._held_out)
        every = self._settings.preview_images
        if every is not None and (passed(every) or self._finished):
            self._preview()
        if passed(self._settings.snapshot_images):
            if self._in_doubt and not self._finished:
                self._progress.say(f"no checkpoint at {state.images:,} images: the loss is not back")
            else:
                self._save()

    @property
    def _in_doubt(self) -> bool:
        """Whether the loss has exploded where that is not meant."""
        return self._watch.exploded and self._settings.on_explosion == "stop"

    def _log(self) -> None:
        clock = time.perf_counter()
        self._trainer.check_finite()  # waits for the device: its work counts as training
        self._state.seconds += time.perf_counter() - clock
        metrics = self._trainer.metrics()
        if self._metrics:
            self._metrics.write(metrics)
        if self._tracking:
            self._tracking.line(metrics)
        self._progress.log(metrics)
        self._watch.look(metrics)

    def _measure(self, held_out: HeldOut) -> None:
        self._trainer.check_finite()
        line = held_out.measure()
        if self._tracking:
            self._tracking.line(line, "held_out/")
        loss = "not finite" if line.loss is None else f"{line.loss:.4f}"
        self._progress.say(f"{line.images:,} images: held-out loss {loss}")

    def _preview(self) -> None:
        self._trainer.check_finite()
        whole = self._state.gathered(self._preview_of)
        if self._previews is None:
            return
        drawn = self._previews.draw(whole)
        if self._tracking and drawn.file is not None:
            self._tracking.picture("preview", self._run / drawn.file, drawn.images)
        what = f"no preview: {self._previews.failure}" if drawn.file is None else f"preview {drawn.file}"
        self._progress.say(f"{drawn.images:,} images: {what}")

    def _keep_averages(self) -> None:
        self._trainer.check_finite()
        state = self._state
        averages = state.profiles()
        if not self._ranks.first:
            return
        write_checkpoint(
            self._run,
            replace(self._header, images=state.images),
            {kind: halved(average) for kind, average in averages.items()},
            snapshot_state(state.step, self._record),
            folder=AVERAGES,
        )

    def _is_saved(self) -> bool:
        return self._saved is not None and self._saved == directory(self._run, self._state.images)

    def _save(self) -> None:
        state = self._state
        self._trainer.check_finite()
        files = state.files()
        header = replace(self._header, images=state.images)
        shards = write_shards(self._run, header, state, self._ranks)
        self._saved = directory(self._run, state.images)
        if self._metrics is None:
            return
        self._metrics.sync()
        if self._before_first_save:
            self._before_first_save()
            self._before_first_save = None
        write_checkpoint(
            self._run,
            header,
            files,
            {**state.numbers(), "final": self._finished, **self._record},
            shards=shards,
        )
        if self._in_doubt:  # a run that is stopped, or has come to its end, saves what there is
            self._progress.say(
                f"{self._saved} is of a loss that has exploded and is not back: checkpoints of before all stay"
            )
            return
        prune(self._run, keep=self._settings.keep, every=self._settings.keep_every_images)
