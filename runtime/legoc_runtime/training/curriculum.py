"""Which program a step trains with, and what its losses count: a function of the position of its first image alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from legoc_runtime.contract.curriculum import Variant, stage_at, variant_of, whole
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.settings import Stage, TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.diffusion.edm import shares
from legoc_runtime.errors import UsageError


@dataclass(frozen=True)
class Lesson:
    """What one step trains.

    Attributes:
        program: name of the training program.
        bricks: ids of the bricks that train, bottom to top.
        places: their places in the stack, int64 [k].
        shares: their shares in the training loss, which add to 1, [k].
    """

    program: str
    bricks: tuple[str, ...]
    places: Tensor
    shares: Tensor


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
        shape = self._shape = manifest.shape
        known = {program.name for program in manifest.variants} | {manifest.training.name}
        self._lessons: dict[Variant, Lesson] = {}
        for variant in [whole(shape.ids), *(self._variant(stage) for stage in settings.stages)]:
            lesson = self._lessons[variant] = _lesson(shape, variant, device)
            if lesson.program not in known:
                raise UsageError(
                    f"the build has no program that trains {', '.join(variant.learning)}",
                    help="build it again with these stages",
                )

    @property
    def whole(self) -> Lesson:
        """The whole stack in training."""
        return self._lessons[whole(self._shape.ids)]

    def at(self, position: int) -> Lesson:
        """The lesson of the step whose first image, over all ranks, has this position in the run."""
        if not self._stages:
            return self.whole
        return self._lessons[self._variant(stage_at(self._stages, position))]

    def _variant(self, stage: Stage) -> Variant:
        if absent := [id for id in stage.train if id not in self._shape.ids]:
            raise UsageError(
                f"a stage trains the brick `{absent[0]}`, which the stack does not have",
                help=f"the bricks are {', '.join(self._shape.ids)}",
            )
        return variant_of(self._shape.ids, stage)


def _lesson(shape: StackShape, variant: Variant, device: torch.device) -> Lesson:
    bricks = variant.learning
    return Lesson(
        variant.name(shape.ids),
        bricks,
        torch.tensor([shape.ids.index(id) for id in bricks], device=device),
        torch.tensor(shares([shape.brick(id).loss_weight for id in bricks]), device=device),
    )
