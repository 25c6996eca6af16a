"""One training step, and what is asked of it between steps."""

from __future__ import annotations

import torch
from torch import Tensor

from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.data.training_set import TrainingSet
from legoc_runtime.diffusion.edm import joint_loss
from legoc_runtime.diffusion.objective import objective_of
from legoc_runtime.errors import RunError
from legoc_runtime.stack import TrainingStack
from legoc_runtime.training.batch import Batch, BatchMaker
from legoc_runtime.training.curriculum import Curriculum, Lesson
from legoc_runtime.training.metrics import Metrics, noise_range
from legoc_runtime.training.optimizer import learning_rate
from legoc_runtime.training.precision import autocast
from legoc_runtime.training.ranks import ALONE, Ranks
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.windows import check_nested


class Trainer:
    """Trains a stack, step by step. Nothing in a step waits for the device.

    Args:
        manifest: the build.
        dataset: the images.
        settings: training settings.
        state: the run's state, whose weights `stack` runs.
        stack: the training module.
        ranks: the processes that train together.

    Attributes:
        settings: training settings.
        state: the run's state.
        maker: makes the batch at any position.
        ranks: the processes that train together.
    """

    def __init__(
        self,
        manifest: Manifest,
        dataset: TrainingSet,
        settings: TrainSettings,
        state: TrainState,
        stack: TrainingStack,
        ranks: Ranks = ALONE,
    ) -> None:
        self.settings = settings
        self.state = state
        self.ranks = ranks
        self._curriculum = Curriculum(manifest, settings, state.store.device)
        if settings.patches == "nested":
            check_nested(manifest.shape)
        self.maker = BatchMaker(
            dataset,
            manifest.shape,
            settings.seed,
            manifest.label_dropout,
            settings.flip,
            settings.patches,
            self._curriculum.levels,
        )
        self._stack = stack
        self._objective = objective_of(manifest.shape.diffusion, settings.loss_weighting)

    def step(self, batch: Batch) -> None:
        """Train on a batch, of which this is the share of one process."""
        state, start = self.state, self.state.images
        lesson = self._curriculum.at(start)
        parts = batch.split(self.settings.accumulate)
        losses: list[Tensor] = []
        loss = torch.zeros((), device=state.store.device)
        for part in parts:
            losses.append(self._losses(part, lesson))
            # the mean over the step is the mean of the parts' means, since they are of equal size
            share = joint_loss(losses[-1], lesson.shares) / len(parts)
            state.held.run(lambda share=share: state.optimizer.backward(share))
            losses[-1], loss = losses[-1].detach(), loss + share.detach()
        state.held.reduce(loss)
        images = start + len(batch.sigma) * self.ranks.size
        norm = state.optimizer.apply(loss, start=start, images=images)
        state.ema.update(state.step)
        state.meter.add(torch.cat(losses, dim=1), batch.sigma, norm, lesson.places)
        state.images = images
        state.step += 1

    def metrics(self) -> Metrics:
        """The line of metrics for the steps since the last one; waits for the device and the other processes."""
        state = self.state
        return state.meter.over(self.ranks).line(
            images=state.images,
            step=state.step,
            trained=state.images - state.logged_images,
            shares=self._curriculum.whole.shares,
            learning_rate=learning_rate(state.images, self.settings),
            loss_scale=None if state.optimizer.scale is None else float(state.optimizer.scale.scale),
            elapsed=state.seconds - state.logged_seconds,
            seconds=state.seconds,
        )

    @property
    def shares(self) -> Tensor:
        """Share of every brick in the loss of the whole stack, [bricks]."""
        return self._curriculum.whole.shares

    def measure(self, batch: Batch) -> Tensor:
        """Losses of all bricks, image by image, [bricks, N], from the weights as they are; nothing is learned."""
        return self._losses(batch, self._curriculum.whole).detach()

    def check_finite(self) -> None:
        """Wait for the device, and stop the run if a loss or a gradient was not finite.

        Raises:
            RunError: names the brick and the noise level. No update was made in that step or after it.
        """
        start = int(self.state.optimizer.halted_at.item())
        if start < 0:
            return
        if not self.ranks.first and not self.state.held.sharded:
            raise _elsewhere()
        # the weights are those of the step: it can be made again, this time with a look at everything
        batch = self.maker.make(start, self.settings.batch).to(self.state.store.device)
        found = self._explain(batch)  # over shards all processes take part
        if not self.ranks.first:
            raise _elsewhere()
        raise RunError(
            f"{found}, in the step from image {start:,} on; nothing of it was kept",
            help="lower the learning rate, lengthen the warm-up or set clip_norm; "
            "the run stands at its last checkpoint",
        )

    def _losses(self, batch: Batch, lesson: Lesson) -> Tensor:
        """Losses of the bricks that train, image by image, [k, N]."""
        with autocast(self.settings.precision, self.state.store.device):
            estimates = self.state.held.run(
                lambda: self._stack(
                    batch.noisy,
                    batch.sigma,
                    batch.labels,
                    clean=batch.clean,
                    windows=batch.windows,
                    program=lesson.program,
                )
            )
        return torch.stack(
            [self._objective.loss(e.estimate, batch.clean, batch.sigma, e.mask, e.variance) for e in estimates]
        )

    def _explain(self, batch: Batch) -> str:
        """Which brick is not finite, and at which noise level; from the bottom, since the others read from it."""
        lesson = self._curriculum.at(batch.start)
        parts = batch.split(self.settings.accumulate * self.ranks.size)
        with torch.no_grad():
            losses = torch.cat([self._losses(part, lesson) for part in parts], dim=1)
        for brick, loss in zip(lesson.bricks, losses, strict=True):
            bad = ~torch.isfinite(loss)
            if bad.any():
                return f"the loss of brick `{brick}` is not finite at {_level(batch.sigma[bad][0])}"
        for part in parts:
            loss = joint_loss(self._losses(part, lesson), lesson.shares)
            self.state.held.run(lambda loss=loss: self.state.optimizer.backward(loss))
        for key, weight in self.state.store.weights.items():
            if weight.grad is not None and not self.state.held.finite(weight.grad):
                worst = losses
                if key.startswith("bricks."):
                    worst = worst[lesson.bricks.index(key.split(".")[1])]
                image = int(worst.reshape(-1, len(batch.sigma)).sum(dim=0).argmax())
                level = _level(batch.sigma[image])
                return f"the gradient of {key} is not finite; its loss is largest at {level}"
        brick, image = divmod(int(losses.argmax()), len(batch.sigma))
        return (
            "the norm of the gradient is not finite; "
            f"the loss is largest in brick `{lesson.bricks[brick]}` at {_level(batch.sigma[image])}"
        )


def _elsewhere() -> RunError:
    return RunError("the numbers of the run are not finite", help="the first process says where")


def _level(sigma: Tensor) -> str:
    return f"noise level {float(sigma):.4g} ({noise_range(float(sigma))})"
