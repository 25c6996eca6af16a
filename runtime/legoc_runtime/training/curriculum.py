"""Which program a step trains with, and what its losses count: a function of the position of its first image alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from legoc_runtime.contract.curriculum import Variant, of_bricks, stage_at, variant_of, variants, whole
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.settings import Band, Stage, TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.diffusion.edm import shares
from legoc_runtime.errors import UsageError
from legoc_runtime.randomness import Purpose, stream


@dataclass(frozen=True)
class Lesson:
    """What one step trains.

    Attributes:
        program: name of the training program.
        bricks: ids of the bricks that train, bottom to top.
        places: their places among the bricks that training changes, int64 [k].
        shares: their shares in the training loss, which add to 1, [k].
    """

    program: str
    bricks: tuple[str, ...]
    places: Tensor
    shares: Tensor


@dataclass(frozen=True, slots=True)
class Levels:
    """The noise levels that a step draws from, as shares of those that training draws from.

    Attributes:
        pieces: from where to where, each within 0 to 1.
    """

    pieces: tuple[tuple[float, float], ...]

    def at(self, share: float) -> float:
        """The share, among all levels, of the one that has `share` of these below it."""
        rest = share * sum(high - low for low, high in self.pieces)
        for low, high in self.pieces:
            if rest <= high - low:
                return low + rest
            rest -= high - low
        return self.pieces[-1][1]


class Curriculum:
    """The lessons of a run.

    Args:
        manifest: the build.
        settings: training settings.
        device: where the losses are.

    Raises:
        UsageError: the stages are not those that the build was made for, or one of them has no loss.
    """

    def __init__(self, manifest: Manifest, settings: TrainSettings, device: torch.device) -> None:
        self._stages: Sequence[Stage] = settings.stages
        self._drop, self._seed = settings.drop, settings.seed
        shape = self._shape = manifest.shape
        self._whole = whole(shape.ids, shape.fixed)
        known = {program.name for program in manifest.variants} | {manifest.training.name}
        self._lessons: dict[Variant, Lesson] = {}
        staged = [self._variant(stage) for stage in settings.stages]
        for variant in dict.fromkeys([self._whole, *staged, *variants(shape.ids, settings, shape.fixed)]):
            lesson = self._lessons[variant] = _lesson(shape, variant, device)
            if lesson.program not in known:
                raise UsageError(
                    f"the build has no program that trains {', '.join(variant.learning)}",
                    help="build it again with these settings",
                )

    @property
    def whole(self) -> Lesson:
        """The whole stack in training."""
        return self._lessons[self._whole]

    def at(self, position: int) -> Lesson:
        """The lesson of the step whose first image, over all ranks, has this position in the run."""
        band = self._band(position)
        if band is not None:
            return self._lessons[of_bricks(band.bricks, self._shape.fixed)]
        return self._lessons[self._stage(position)]

    def levels(self, position: int) -> Levels | None:
        """The noise levels of that step: where a policy is followed, those at which it runs these bricks; else all."""
        chosen = self._band(position)
        if chosen is None or self._drop is None:
            return None
        pieces: list[tuple[float, float]] = []
        total, high = sum(band.share for band in self._drop.bands), 1.0
        for band in self._drop.bands:  # from the highest levels to the lowest
            low = max(0.0, high - band.share / total)
            if band.bricks == chosen.bricks:
                pieces.append((low, high))
            high = low
        return Levels(tuple(reversed(pieces)))

    def _stage(self, position: int) -> Variant:
        return self._variant(stage_at(self._stages, position)) if self._stages else self._whole

    def _band(self, position: int) -> Band | None:
        """The band that a step trains, by the share of levels in it; None where the step follows no policy."""
        if self._drop is None or self._stage(position) != self._whole:
            return None
        drawn = stream(self._seed, Purpose.DROP, position)
        if drawn.random() >= self._drop.rate:
            return None
        rest = drawn.random() * sum(band.share for band in self._drop.bands)
        for band in self._drop.bands:
            if rest < band.share:
                return self._trained(band)
            rest -= band.share
        return self._trained(max(self._drop.bands, key=lambda band: band.share))

    def _trained(self, band: Band) -> Band | None:
        """A band, or None where all that runs in it is frozen for good: such a step trains the whole stack."""
        return band if of_bricks(band.bricks, self._shape.fixed).learning else None

    def _variant(self, stage: Stage) -> Variant:
        if absent := [id for id in stage.train if id not in self._shape.ids]:
            raise UsageError(
                f"a stage trains the brick `{absent[0]}`, which the stack does not have",
                help=f"the bricks are {', '.join(self._shape.ids)}",
            )
        return variant_of(self._shape.ids, stage, self._shape.fixed)


def _lesson(shape: StackShape, variant: Variant, device: torch.device) -> Lesson:
    bricks = variant.learning
    return Lesson(
        variant.name(shape.ids),
        bricks,
        torch.tensor([shape.trainable.index(id) for id in bricks], device=device),
        torch.tensor(shares([shape.loss_weight(id) for id in bricks]), device=device),
    )
