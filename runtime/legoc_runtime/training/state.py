"""Everything that a run carries from one step to the next, to a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from legoc_runtime.checkpoint.layout import EMA_PREFIX, OPTIMIZER, PROFILE_PREFIX, WEIGHTS
from legoc_runtime.checkpoint.tensorfile import SUFFIX, load
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.store import WeightStore
from legoc_runtime.training.ema import Ema
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
        optimizer: AdamW and its moments.
        ema: averages of the weights.
        meter: sums for the next line of metrics.
        images: images trained on.
        step: steps done.
        seconds: seconds spent training.
        logged_images: `images` of the last line of metrics that fell due.
        logged_seconds: `seconds` at that line.
    """

    def __init__(self, store: WeightStore, settings: TrainSettings, ranks: Ranks = ALONE) -> None:
        self.store = store
        self._ranks = ranks
        self.optimizer = Optimizer(store, settings)
        self.ema = Ema(store, settings.ema, settings.ema_profiles)
        self.meter = Meter(store.shape.ids, store.device)
        self.images = 0
        self.step = 0
        self.seconds = 0.0
        self.logged_images = 0
        self.logged_seconds = 0.0

    def files(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of a checkpoint: kind -> name -> tensor; called by all processes, and the same in each."""
        return {
            WEIGHTS: {key: weight.detach() for key, weight in self.store.weights.items()},
            **{f"{EMA_PREFIX}{decay!r}": average for decay, average in self.ema.averages.items()},
            **self.profiles(),
            OPTIMIZER: {
                **self.optimizer.tensors(),
                **self._meters(),
            },
        }

    def profiles(self) -> dict[str, dict[str, Tensor]]:
        """The averages with power-function profiles: kind -> weight key -> average."""
        return {f"{PROFILE_PREFIX}{width!r}": average for width, average in self.ema.profiles.items()}

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
        self.store.load(load(checkpoint / f"{WEIGHTS}{SUFFIX}"))
        for decay in self.ema.averages:
            self.ema.load(decay, load(checkpoint / f"{EMA_PREFIX}{decay!r}{SUFFIX}"))
        for kind, average in self.profiles().items():
            self.ema.take(average, load(checkpoint / f"{kind}{SUFFIX}"))
        rest = load(checkpoint / f"{OPTIMIZER}{SUFFIX}")
        self.optimizer.load(rest)
        self._load_meter(rest)
        self.images = int(numbers["images"])
        self.step = int(numbers["step"])
        self.seconds = float(numbers["seconds"])
        self.logged_images = int(numbers["logged_images"])
        self.logged_seconds = float(numbers["logged_seconds"])
