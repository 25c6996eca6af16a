"""Grids of samples while a run trains: `previews/IMAGES.png`, and one JSON object each in `previews.jsonl`.

| key | meaning |
|---|---|
| `images` | images trained on so far |
| `step` | optimizer steps so far |
| `file` | the grid, from the run directory; null where sampling failed, as with a picture that is not finite |
| `weights` | which weights made it: `ema-RATE`, `ema-profile-WIDTH` or `weights` |
| `seeds` | the seeds that it shows, row by row |
| `policy` | the skip policy |
| `sampling_steps` | noise levels of the sampler |
| `guidance` | scale of guidance |

A preview is what `legoc sample` makes of a checkpoint at this place with these seeds. Nothing of the run moves: noise
and classes are streams of their own, and the weights come back to the bit.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from legoc_runtime.backends.base import Backend
from legoc_runtime.checkpoint.layout import EMA_PREFIX, PROFILE_PREFIX, WEIGHTS
from legoc_runtime.contract.canvas_request import on_grid
from legoc_runtime.contract.manifest import TRAINING, Manifest
from legoc_runtime.contract.policy import configuration_name
from legoc_runtime.contract.request import parse_classes, parse_seeds
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.pretrained import open_store
from legoc_runtime.sampling.decoding import make_decoding
from legoc_runtime.sampling.pictures import grid, grid_count, is_picture, png_bytes, to_uint8, write_whole
from legoc_runtime.sampling.plan import Plan, make_plan
from legoc_runtime.sampling.run import SamplingRun
from legoc_runtime.stack import BrickStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.holding import Whole
from legoc_runtime.training.metrics import MetricsFile
from legoc_runtime.training.state import TrainState
from legoc_runtime.vae import load_vae

PREVIEWS = "previews"
PREVIEWS_NAME = "previews.jsonl"

_PROFILE = "profile-"


@dataclass(frozen=True, slots=True)
class Preview:
    """One line of `previews.jsonl`; the table above says what its keys mean."""

    images: int
    step: int
    file: str | None
    weights: str
    seeds: str
    policy: str
    sampling_steps: int
    guidance: float


def preview_plan(manifest: Manifest, settings: TrainSettings) -> Plan | None:
    """What previews show, pictures of the grid's size; None where none are asked for.

    Raises:
        UsageError: the stack makes latents and nothing decodes them, or `sample:` asks for what cannot be.
        RunError: the VAE that decodes them is damaged.
    """
    if settings.preview_images is None:
        return None
    # a canvas costs many times as much, and shows no better how training goes
    shape, sample = manifest.shape, on_grid(manifest.sample)
    decoding = None
    if sample.decoder != "none":
        decoding = make_decoding(load_vae(Path(sample.decoder)), (shape.channels, *shape.grid))
    elif not is_picture(shape.channels):
        raise UsageError(
            f"preview_images asks for grids, and this stack makes latents of {shape.channels} channels",
            help="leave it out, or name the VAE that decodes them: `sample: {decoder: ...}`",
        )
    seeds = parse_seeds(settings.preview_seeds)
    policy, wanted = manifest.policy(sample.skip_policy), replace(sample, seeds=settings.preview_seeds)
    plan = make_plan(shape, policy, wanted, seeds, parse_classes(sample.classes), decoding=decoding)
    if len(seeds) > (most := grid_count(*plan.picture_shape[1:])):
        raise UsageError(f"a grid shows up to {most:,} seeds", help="shorten preview_seeds")
    held = {program.bricks for program in manifest.programs if program.name != TRAINING}
    if missing := [configuration for configuration in plan.configurations if configuration not in held]:
        raise UsageError(
            f"the policy `{policy.name}` of previews runs {configuration_name(missing[0])}, which is not in the build",
            help="build it again with `legoc build`",
        )
    weights_of(sample.ema, settings)
    return plan


def weights_of(ema: str, settings: TrainSettings) -> str:
    """The kind of weights that `sample: {ema}` names in a run of these settings, e.g. `ema-0.9999`.

    Raises:
        UsageError: the run keeps no such average.
    """
    if ema == "none" or (ema == "first" and not settings.ema):
        return WEIGHTS
    if ema == "first":
        return f"{EMA_PREFIX}{settings.ema[0]!r}"
    kinds = [(f"{EMA_PREFIX}{rate!r}", rate) for rate in settings.ema]
    wanted = float(ema.removeprefix(_PROFILE))
    if ema.startswith(_PROFILE):
        kinds = [(f"{PROFILE_PREFIX}{width!r}", width) for width in settings.ema_profiles]
    for kind, value in kinds:
        if value == wanted:
            return kind
    raise UsageError(f"previews want the average {ema}, which the run does not keep", help="see `train: {ema: ...}`")


class Previews:
    """Draws the grids of a run; one process of it does.

    Args:
        run: the run directory.
        manifest: the build.
        plan: what they show.
        state: the run's state, whose weights make them.
        settings: training settings.
        backend: what computes them.

    Attributes:
        failure: why the last call of `draw` gave no grid, or None.

    Raises:
        RunError: the run directory cannot be written.
    """

    def __init__(
        self, run: Path, manifest: Manifest, plan: Plan, state: TrainState, settings: TrainSettings, backend: Backend
    ) -> None:
        self._run, self._plan, self._state = run, plan, state
        self._manifest, self._backend = manifest, backend
        # shards are no weights to sample from
        self._stack = BrickStack(manifest, state.store, backend=backend) if isinstance(state.held, Whole) else None
        self._kind = weights_of(manifest.sample.ema, settings)
        self._file = MetricsFile(run, keep_images=state.images, name=PREVIEWS_NAME)
        self.failure: str | None = None
        self._drop_later()

    def draw(self, whole: Mapping[str, Tensor] | None = None) -> Preview:
        """Sample, write the grid and its line. The weights are as they were afterwards, bit by bit.

        Args:
            whole: what is sampled from, of a run whose processes hold shards: they are whole here for as long.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        state, plan = self._state, self._plan
        name = f"{PREVIEWS}/{state.images:012d}.png"
        drawn = self._drawn(whole)
        if drawn is not None:
            self._write(self._run / name, drawn)
        line = Preview(
            state.images,
            state.step,
            None if drawn is None else name,
            self._kind,
            plan.settings.seeds,
            plan.policy.name,
            plan.settings.steps,
            plan.settings.guidance,
        )
        self._file.write(line)
        self._file.sync()
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _drawn(self, whole: Mapping[str, Tensor] | None) -> bytes | None:
        """The grid; None where sampling fails: early weights may give no finite picture where the run is sound."""
        if self._stack is None:
            assert whole is not None, "shards are gathered before they are sampled from"
            store = open_store(self._manifest.shape, device=self._state.store.device)
            store.load(whole)
            return self._grid(BrickStack(self._manifest, store, backend=self._backend))
        with sampled(self._state.store, self._state.ema.of_kind(self._kind)):
            return self._grid(self._stack)

    def _grid(self, stack: BrickStack) -> bytes | None:
        plan, self.failure = self._plan, None
        sampling = SamplingRun(stack, plan, device=stack.store.device)
        try:
            pictures = torch.cat([batch.pictures for batch in sampling.batches(plan.settings.batch)])
        except RunError as error:
            self.failure = error.message
            return None
        if plan.decoding is not None:
            plan.decoding.vae.to(stack.store.device)
            pictures = plan.decoding.pictures(pictures)
        return png_bytes(grid(list(to_uint8(pictures))))

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise RunError(f"{path.parent} cannot be made: {error.strerror or error}") from error
        write_whole(path, data)

    def _drop_later(self) -> None:
        """Remove grids of a session that was cut short after its last checkpoint, as their lines are."""
        folder = self._run / PREVIEWS
        for path in folder.glob("*.png") if folder.is_dir() else ():
            if path.stem.isdecimal() and int(path.stem) > self._state.images:
                path.unlink(missing_ok=True)


@contextmanager
def sampled(store: WeightStore, average: Mapping[str, Tensor] | None) -> Generator[None]:
    """A store that holds an average for a while, without memory for a second set of weights: the two trade places."""
    _exchange(store, average)
    try:
        yield
    finally:
        _exchange(store, average)


@torch.no_grad()
def _exchange(store: WeightStore, average: Mapping[str, Tensor] | None) -> None:
    if average is None:
        return
    with store.updating():
        for key, weight in store.weights.items():
            held = weight.detach().clone()
            weight.copy_(average[key])
            average[key].copy_(held)
