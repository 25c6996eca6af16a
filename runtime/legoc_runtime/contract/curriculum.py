"""What a training step runs, and which steps run what: stages, and training for skipping. Both sides read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.settings import Stage, TrainSettings


@dataclass(frozen=True, slots=True)
class Variant:
    """What one training step runs.

    Attributes:
        bricks: ids of the bricks that run, bottom to top.
        learning: those of them that train. The others run all their windows, without gradient; as the embedders of
            noise level and label belong to all bricks, these train only where all that run do.
        fixed: those of them that no training changes, pretrained ones, which read nothing of the embedders.
    """

    bricks: Configuration
    learning: Configuration
    fixed: Configuration = ()

    @property
    def frozen(self) -> Configuration:
        """The bricks that run and do not train, but could."""
        return tuple(id for id in self.bricks if id not in self.learning and id not in self.fixed)

    def name(self, ids: Sequence[str]) -> str:
        """The name of its program, in a stack of the bricks `ids`: `training` where all of them train."""
        if tuple(ids) == self.bricks and not self.frozen:
            return "training"
        return "training." + "+".join(f"{id}-frozen" if id in self.frozen else id for id in self.bricks)


def variants(ids: Sequence[str], train: TrainSettings, fixed: Sequence[str] = ()) -> tuple[Variant, ...]:
    """Every variant that the steps of a run may be of, beside the whole stack in training.

    Args:
        ids: the bricks of the stack, bottom to top.
        train: training settings.
        fixed: those of them that no training changes (`StackShape.fixed`); so in all functions here.
    """
    found = dict.fromkeys(variant_of(ids, stage, fixed) for stage in train.stages)
    if train.drop is not None:
        found.update(dict.fromkeys(of_bricks(band.bricks, fixed) for band in train.drop.bands if band.share))
    return tuple(variant for variant in found if variant != whole(ids, fixed) and variant.learning)


def whole(ids: Sequence[str], fixed: Sequence[str] = ()) -> Variant:
    """The whole stack in training."""
    return of_bricks(ids, fixed)


def of_bricks(ids: Sequence[str], fixed: Sequence[str] = ()) -> Variant:
    """These bricks run, and those of them that training changes train."""
    within = tuple(id for id in ids if id in fixed)
    return Variant(tuple(ids), tuple(id for id in ids if id not in within), within)


def variant_of(ids: Sequence[str], stage: Stage, fixed: Sequence[str] = ()) -> Variant:
    """What a stage runs: the bricks up to the highest that trains."""
    highest = max(ids.index(id) for id in stage.train)
    learning = tuple(id for id in ids if id in stage.train)
    return Variant(tuple(ids[: highest + 1]), learning, tuple(id for id in ids[: highest + 1] if id in fixed))


def stage_at(stages: Sequence[Stage], position: int) -> Stage:
    """The stage of the step whose first image has this position; there is at least one, and the last has no end."""
    end = 0
    for stage in stages:
        if stage.images is None:
            return stage
        end += stage.images
        if position < end:
            return stage
    return stages[-1]


def images_by_variant(ids: Sequence[str], train: TrainSettings, fixed: Sequence[str] = ()) -> dict[Variant, Fraction]:
    """How many of a run's images train which variant (a step belongs to the stage of its first image)."""
    found = _images_by_stage(ids, train, fixed)
    images = found.get(whole(ids, fixed))
    if train.drop is not None and images:
        rate = Fraction(train.drop.rate)
        found[whole(ids, fixed)] = images * (1 - rate)
        total = sum(Fraction(band.share) for band in train.drop.bands)
        for band in train.drop.bands:
            variant = of_bricks(band.bricks, fixed)
            variant = variant if variant.learning else whole(ids, fixed)  # nothing to train: the whole stack trains
            found[variant] = found.get(variant, Fraction()) + images * rate * Fraction(band.share) / total
    return found


def _images_by_stage(ids: Sequence[str], train: TrainSettings, fixed: Sequence[str]) -> dict[Variant, Fraction]:
    if not train.stages:
        return {whole(ids, fixed): Fraction(train.images)}
    found: dict[Variant, Fraction] = {}
    begun = 0
    for stage in train.stages:
        left = max(0, train.images - begun)
        count = left if stage.images is None else min(left, stage.images)
        variant = variant_of(ids, stage, fixed)
        found[variant] = found.get(variant, Fraction()) + count
        begun += count
    return found
