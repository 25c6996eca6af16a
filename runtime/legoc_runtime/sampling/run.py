"""Seeds to estimates: the sampler, guidance, the noise of every seed and the trace, put together.

Rounding. The noise of a seed is bit-identical whatever the batch, and every operation of a stack works on
rows of the batch by themselves. Matrix products of another number of rows may be summed in another order, and in the
conditioning they are: it is computed ahead for the noise levels and labels of the run (`ahead`), so that no batch shows
there. What is left are products over tokens. On CPUs they are the same bits for every batch, and so are the pictures;
where they are not, `BATCH_BOUND` and `BATCH_BOUND_LEVELS` state by how much a picture may differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.request import parse_channels
from legoc_runtime.contract.schedule import Evaluation
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling.ahead import Ahead
from legoc_runtime.sampling.canvas import OnCanvas
from legoc_runtime.sampling.churn import Churn
from legoc_runtime.sampling.clock import Stopwatch, clock_for
from legoc_runtime.sampling.ddim import Ddim
from legoc_runtime.sampling.ddpm import Ancestral
from legoc_runtime.sampling.dpmpp_2m import Dpmpp2M
from legoc_runtime.sampling.factorised import Factorised
from legoc_runtime.sampling.guidance import Guided
from legoc_runtime.sampling.heun import Heun
from legoc_runtime.sampling.noise import churn_noise, start_noise
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.ranks import Ranks
from legoc_runtime.sampling.sampler import OnState, Sampler, Stack
from legoc_runtime.sampling.timing import Timing
from legoc_runtime.sampling.trace import Recorder, Trace
from legoc_runtime.stack import DEFAULT_TABLE_BYTES, BrickStack

BATCH_BOUND = 1e-4
"""Largest difference of a float32 picture in [-1, 1] between two batch sizes, on one device and backend.

Measured on CPU in float32 without tables, batches 1, 7 and 64: up to 2e-6 with untrained weights (18 steps) and 6e-6
with trained ones (0.5 M parameters, 10 steps, guidance 3, churn 10). The bound leaves room for deeper stacks and longer
schedules. It holds for float32 arithmetic, not for TF32.
"""

BATCH_BOUND_LEVELS = 1
"""The same in grey levels of the 8-bit picture."""

OnCall = Callable[[int], None]
"""Called after every evaluation with the number of images that it evaluated."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures of consecutive seeds.

    Attributes:
        seeds: their seeds.
        labels: their classes, None for an unconditional stack.
        pictures: float32 [N,C,H,W] on the CPU, data in [-1, 1] up to what the model overshoots.
    """

    seeds: tuple[int, ...]
    labels: tuple[int, ...] | None
    pictures: Tensor


class SamplingRun:
    """One plan on one stack.

    Attributes:
        plan: what is sampled.
        trace: which bricks ran, checked against the truth table call by call.
        seconds: seconds spent in `batches` so far.
        pictures: pictures made so far.
        ahead: conditioning computed ahead, or None where there is none.
    """

    def __init__(
        self,
        stack: Stack,
        plan: Plan,
        *,
        device: str | torch.device = "cpu",
        table_bytes: int = DEFAULT_TABLE_BYTES,
        window_batch: int | None = None,
    ) -> None:
        """Prepare to sample.

        Args:
            stack: a BrickStack, whose conditioning is computed ahead, or anything else that fits `Stack`.
            plan: what to sample.
            device: where the stack's weights live.
            table_bytes: how much conditioning may be held at a time; 0 computes it in every call.
            window_batch: on a canvas, rows of a call of the stack; None takes the plan's `batch`.

        Raises:
            UsageError: rows below 1, or a factorised canvas of what has no bricks to run one by one.
        """
        self.plan = plan
        self.trace = Trace(plan)
        self.seconds = 0.0
        self.pictures = 0
        self._device = torch.device(device)
        self._watch = Stopwatch(clock_for(self._device))
        self._sampler = sampler_of(plan)
        anew = None if plan.given is None else plan.given.anew
        self._anew = None if anew is None else torch.tensor(anew).to(self._device)
        self.ahead: Ahead | None = None
        if isinstance(stack, BrickStack) and table_bytes > 0:
            self.ahead = Ahead(stack, plan, self._sampler, table_bytes)
        rows = plan.settings.batch if window_batch is None else window_batch
        self._recorder = Recorder(self._called(stack, rows), plan.table.bricks)
        # a learned variance comes after the image's channels: it is never guided, and DDPM's sampler alone reads it
        image = plan.shape.channels if plan.shape.variance_channels else None
        self._kept = None if plan.settings.sampler == "ddpm" else image
        self._bare: Stack = self._recorder
        if plan.canvas is not None and plan.canvas.way == "windows":
            self._bare = OnCanvas(self._recorder, plan.canvas, plan.shape.classes, rows)
        scale, channels = plan.settings.guidance, parse_channels(plan.settings.guidance_channels)
        self._guided = Guided(self._bare, scale, plan.shape.classes, channels=channels or image)

    def _called(self, stack: Stack, rows: int) -> Stack:
        """What the recorder stands around: the stack on windows, or on a factorised canvas as it is."""
        canvas, alone = self.plan.canvas, self.ahead or stack
        if canvas is None or canvas.way == "windows":
            return alone
        if not isinstance(alone, Ahead | BrickStack):
            raise UsageError("a factorised canvas runs bricks one by one: it takes a BrickStack")
        return Factorised(alone, self.plan.shape, canvas, rows)

    @property
    def timings(self) -> Mapping[Configuration, Timing]:
        """Configuration -> what its calls took, up to the last whole batch."""
        return self._watch.timings

    def batches(
        self,
        batch: int,
        *,
        places: Sequence[int] | None = None,
        ranks: Ranks | None = None,
        on_call: OnCall | None = None,
        on_state: OnState | None = None,
    ) -> Iterator[Batch]:
        """Sample the plan's seeds in order, `batch` at a time.

        Args:
            batch: pictures at once, 1 or more.
            places: which of the plan's seeds, by their place in it; None samples all.
            ranks: who else samples them; of the batches, this process makes its share.
            on_call: observer of the evaluations, for progress.
            on_state: observer of the sampler's states.

        Raises:
            UsageError: a batch below 1.
            RunError: the stack did not run the bricks that the policy says, or a picture is not finite.
        """
        if batch < 1:
            raise UsageError(f"a batch has 1 picture or more, got {batch}")
        wanted = range(len(self.plan.seeds)) if places is None else places
        batches = [wanted[start : start + batch] for start in range(0, len(wanted), batch)]
        for rows in (ranks or Ranks()).share(batches):
            seeds = tuple(self.plan.seeds[row] for row in rows)
            labels = None if self.plan.labels is None else tuple(self.plan.labels[row] for row in rows)
            began = time.perf_counter()
            pictures = self._sample(seeds, labels, on_call, on_state)
            self.seconds += time.perf_counter() - began
            self.pictures += len(rows)
            yield Batch(seeds, labels, pictures)

    @torch.no_grad()
    def _sample(
        self,
        seeds: tuple[int, ...],
        labels: tuple[int, ...] | None,
        on_call: OnCall | None,
        on_state: OnState | None,
    ) -> Tensor:
        rows = None if labels is None else torch.tensor(labels, dtype=torch.int64, device=self._device)
        if self.ahead is not None:
            self.ahead.begin(labels)

        given = self.plan.given
        image = None if given is None else torch.tensor(given.images(seeds)).to(self._device)

        def denoise(x: Tensor, sigma: float, evaluation: Evaluation) -> Tensor:
            estimate = self._evaluate(x, sigma, rows, evaluation)
            if image is not None and self._anew is not None:
                channels = image.shape[1]
                kept = torch.where(self._anew, estimate[:, :channels], image)
                estimate = torch.cat([kept, estimate[:, channels:]], dim=1)
            if on_call is not None:
                on_call(len(seeds))
            return estimate[:, : self._kept]

        def noise(step: int) -> Tensor:
            return churn_noise(seeds, self.plan.image_shape, step, self.plan.shape.grid).to(self._device)

        start = start_noise(seeds, self.plan.image_shape, self.plan.shape.grid).to(self._device)
        pictures = self._sampler(self._begun(start, image), denoise, noise, on_state).to("cpu", torch.float32)
        self._watch.settle()
        _check_finite(pictures, seeds)
        return pictures

    def _begun(self, noise: Tensor, image: Tensor | None) -> Tensor:
        """Where the sampler begins. From the top of the schedule, what is under the mask is noise alone."""
        if image is None or self.plan.given is None:
            return self._sampler.begin(noise)
        begun = self._sampler.begin(noise, image)
        if self._anew is None or self.plan.given.strength < 1:
            return begun
        return torch.where(self._anew, self._sampler.begin(noise), begun)

    def _evaluate(self, x: Tensor, sigma: float, labels: Tensor | None, evaluation: Evaluation) -> Tensor:
        """One call of the stack in float32: recorded, checked, timed. Takes and gives float64."""
        configuration = self.plan.configuration_at(evaluation)
        # one number for all pictures, on the CPU: a table reads it without waiting for a device
        level = torch.tensor(sigma, dtype=torch.float32)
        began = self._watch.mark()
        # outside the interval of guidance an image is one row
        stack = self._guided if self.plan.table.levels[evaluation.level].guided else self._bare
        estimate = stack(x.to(torch.float32), level, labels, configuration=configuration)
        self._watch.add(configuration, len(x), began)
        self.trace.add(evaluation, sigma, self._recorder.take())
        return estimate.to(torch.float64)


def sampler_of(plan: Plan) -> Sampler:
    """The sampler that a plan asks for."""
    levels, calls = plan.table.levels, plan.evaluations
    match plan.settings.sampler:
        case "heun" | "euler":
            return Heun(levels, calls, Churn.of(plan.settings))
        case "dpmpp_2m":
            return Dpmpp2M(levels, calls)
        case "ddpm":
            assert isinstance(plan.shape.diffusion, DdpmConstants)
            return Ancestral(levels, calls, plan.shape.diffusion)
        case "ddim":
            return Ddim(levels, calls, plan.settings.eta)


def _check_finite(pictures: Tensor, seeds: Sequence[int]) -> None:
    if broken := [seed for seed, picture in zip(seeds, pictures, strict=True) if not picture.isfinite().all()]:
        raise RunError(
            f"the picture of seed {broken[0]} is not finite ({len(broken)} of {len(seeds)} in its batch)",
            help="the weights may have diverged in training: try an earlier checkpoint, or less guidance",
        )
