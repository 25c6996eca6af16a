"""Everything that a run carries from one step to the next, to a checkpoint and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from legoc_runtime.checkpoint.layout import EMA_PREFIX, OPTIMIZER, WEIGHTS
from legoc_runtime.checkpoint.tensorfile import SUFFIX, load
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.store import WeightStore
from legoc_runtime.training.ema import Ema
from legoc_runtime.training.metrics import Meter
from legoc_runtime.training.optimizer import Optimizer

_METER = "meter/"


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

    def __init__(self, store: WeightStore, settings: TrainSettings) -> None:
        self.store = store
        self.optimizer = Optimizer(store, settings)
        self.ema = Ema(store, settings.ema)
        self.meter = Meter(store.shape.ids, store.device)
        self.images = 0
        self.step = 0
        self.seconds = 0.0
        self.logged_images = 0
        self.logged_seconds = 0.0

    def files(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of a checkpoint: kind -> name -> tensor."""
        return {
            WEIGHTS: {key: weight.detach() for key, weight in self.store.weights.items()},
            **{f"{EMA_PREFIX}{decay!r}": average for decay, average in self.ema.averages.items()},
            OPTIMIZER: {
                **self.optimizer.tensors(),
                **{_METER + name: total for name, total in self.meter.tensors().items()},
            },
        }

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
        rest = load(checkpoint / f"{OPTIMIZER}{SUFFIX}")
        self.optimizer.load(rest)
        self.meter.load({name.removeprefix(_METER): t for name, t in rest.items() if name.startswith(_METER)})
        self.images = int(numbers["images"])
        self.step = int(numbers["step"])
        self.seconds = float(numbers["seconds"])
        self.logged_images = int(numbers["logged_images"])
        self.logged_seconds = float(numbers["logged_seconds"])
