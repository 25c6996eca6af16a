"""Everything that a run carries from one step to the next, to a checkpoint and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from legoc_runtime.checkpoint.layout import EMA_PREFIX, OPTIMIZER, PROFILE_PREFIX, WEIGHTS, shards_of
from legoc_runtime.checkpoint.tensorfile import SUFFIX
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.store import WeightStore
from legoc_runtime.training.ema import Ema
from legoc_runtime.training.holding import MOMENTS, Holding, Whole, is_moment
from legoc_runtime.training.metrics import Meter
from legoc_runtime.training.optimizer import Optimizer
from legoc_runtime.training.ranks import ALONE, Ranks

_METER = "meter/"


def _meter_of(rank: int) -> str:
    return _METER if rank == 0 else f"{_METER}{rank}/"


class TrainState:
    """The state of a run.

    Attributes:
        store: the weights.
        held: what of the weights, and of all that follows them, this process holds.
        optimizer: AdamW and its moments.
        ema: averages of the weights.
        meter: sums for the next line of metrics.
        images: images trained on.
        step: steps done.
        seconds: seconds spent training.
        logged_images: `images` of the last line of metrics that fell due.
        logged_seconds: `seconds` at that line.
    """

    def __init__(
        self, store: WeightStore, settings: TrainSettings, ranks: Ranks = ALONE, held: Holding | None = None
    ) -> None:
        self.store = store
        self.held: Holding = held or Whole(store, ranks)
        self._ranks = ranks
        self.optimizer = Optimizer(store, settings, self.held)
        self.ema = Ema(self.held, settings.ema, settings.ema_profiles)
        self.meter = Meter(store.shape.trainable, store.device)
        self.images = 0
        self.step = 0
        self.seconds = 0.0
        self.logged_images = 0
        self.logged_seconds = 0.0

    def files(self) -> dict[str, Mapping[str, Tensor]]:
        """The tensors of a checkpoint: kind -> name -> tensor; called by all processes, and whole in the first."""
        collect = self.held.collect
        own = self.shards()
        return {
            WEIGHTS: collect({key: weight.detach() for key, weight in self.held.weights.items()}),
            **{f"{EMA_PREFIX}{decay!r}": collect(average) for decay, average in self.ema.averages.items()},
            **self.profiles(),
            OPTIMIZER: {
                **{name: tensor for name, tensor in self.optimizer.tensors().items() if name not in own},
                **self._meters(),
            },
        }

    def gathered(self, kind: str) -> Mapping[str, Tensor] | None:
        """Weights or an average out of the shards of all processes, which call this together, whole in the first.

        Args:
            kind: `weights`, `ema-RATE` or `ema-profile-WIDTH`.

        Returns:
            weight key -> tensor; None where the process holds them whole anyway.
        """
        if isinstance(self.held, Whole):
            return None
        average = self.ema.of_kind(kind)
        rows = {key: weight.detach() for key, weight in self.held.weights.items()}
        return self.held.collect(rows if average is None else average)

    def shards(self) -> dict[str, Tensor]:
        """What each process writes by itself: its rows of the moments; nothing where each holds them whole."""
        if isinstance(self.held, Whole):
            return {}
        return {name: tensor for name, tensor in self.optimizer.tensors().items() if is_moment(name)}

    def profiles(self) -> dict[str, Mapping[str, Tensor]]:
        """The averages with power-function profiles: kind -> weight key -> average; as `files`."""
        return {f"{PROFILE_PREFIX}{width!r}": self.held.collect(rows) for width, rows in self.ema.profiles.items()}

    def _meters(self) -> dict[str, Tensor]:
        """Every process's sums: `meter/losses` of the first, `meter/1/losses` of the second."""
        each = {name: self._ranks.gather(total) for name, total in self.meter.tensors().items()}
        return {_meter_of(rank) + name: total for name, totals in each.items() for rank, total in enumerate(totals)}

    def _load_meter(self, tensors: Mapping[str, Tensor]) -> None:
        """Each process its own sums, so that they go on bit by bit; of other numbers of them the first has the sum."""
        names = self.meter.tensors()
        size = next(n for n in count(1) if _meter_of(n) + "losses" not in tensors)
        if size == self._ranks.size:
            self.meter.load({name: tensors[_meter_of(self._ranks.rank) + name] for name in names})
        elif self._ranks.first:
            sums = {name: torch.stack([tensors[_meter_of(r) + name] for r in range(size)]).sum(dim=0) for name in names}
            self.meter.load({**sums, "norms": tensors[_METER + "norms"]})

    def _optimizer_of(self, checkpoint: Path, names: Collection[str]) -> dict[str, Tensor]:
        """What this process holds of the optimizer's state, whoever wrote it."""
        found = self.held.read(checkpoint / f"{OPTIMIZER}{SUFFIX}")
        shards = shards_of(names)
        if not shards:
            return found
        from legoc_runtime.checkpoint.shards import read_optimizer, read_shards

        if isinstance(self.held, Whole):
            return read_optimizer(checkpoint, names)
        stepped = [name.removeprefix("step/") for name in found if name.startswith("step/")]
        for moment in MOMENTS:
            rows = {key: torch.empty_like(self.held.weights[key].detach()) for key in stepped}
            read_shards(
                checkpoint, shards, {f"{moment}/{key}": self.held.spread(key, row) for key, row in rows.items()}
            )
            found |= {f"{moment}/{key}": row for key, row in rows.items()}
        return found

    def numbers(self) -> dict[str, Any]:
        """The numbers of a checkpoint besides `images`."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "logged_images": self.logged_images,
            "logged_seconds": self.logged_seconds,
        }

    def restore(self, checkpoint: Path, numbers: dict[str, Any]) -> None:
        """Take everything from a checkpoint of the same stack and settings.

        Args:
            checkpoint: its directory, whose checksums were verified.
            numbers: its state.

        Raises:
            RunError: a file is of another stack.
        """
        read = self.held.read
        self.held.load(checkpoint / f"{WEIGHTS}{SUFFIX}")
        for decay in self.ema.averages:
            self.ema.load(decay, read(checkpoint / f"{EMA_PREFIX}{decay!r}{SUFFIX}"))
        for width, average in self.ema.profiles.items():
            self.ema.take(average, read(checkpoint / f"{PROFILE_PREFIX}{width!r}{SUFFIX}"))
        rest = self._optimizer_of(checkpoint, numbers["files"])
        self.optimizer.load(rest)
        self._load_meter(rest)
        self.images = int(numbers["images"])
        self.step = int(numbers["step"])
        self.seconds = float(numbers["seconds"])
        self.logged_images = int(numbers["logged_images"])
        self.logged_seconds = float(numbers["logged_seconds"])
