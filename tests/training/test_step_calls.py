"""What a step asks of the host and of the optimizer: no wait for the device, one call for all weights.

On CPUs, by the operations that run; `test_device.py` has a GPU say so itself.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.trainer import Trainer
from tests.training.tiny import tiny_build, tiny_data

WAITS = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "_unique2")
"""Operations whose result the host must have, or whose shape depends on values."""

DROP = ("log_images: 12", "log_images: 12, drop: {policy: halfway, rate: 0.5}")
STAGES = ("log_images: 12", "log_images: 12, stages: [{train: [small], images: 4}, {train: [small, parts, whole]}]")
PROFILES = ("log_images: 12", "log_images: 12, ema_profiles: [0.1]")


class Called(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def trainer_of(folder: Path, change: tuple[str, str]) -> Trainer:
    manifest, _ = tiny_build(change=change)
    store = WeightStore(manifest.shape)
    store.initialise(0)
    state = TrainState(store, manifest.train)
    return Trainer(manifest, tiny_data(folder), manifest.train, state, TrainingStack(manifest, store, backend="eager"))


@pytest.mark.parametrize(
    "change",
    [
        ("log_images: 12", "log_images: 12"),
        ("log_images: 12", "log_images: 12, precision: bf16, accumulate: 2"),
        ("log_images: 12", "log_images: 12, precision: fp16"),
        ("log_images: 12", "log_images: 12, fill: model, clip_norm: null"),
        DROP,
        STAGES,
        PROFILES,
    ],
)
def test_nothing_in_a_step_waits_for_the_device(tmp_path: Path, change: tuple[str, str]) -> None:
    trainer = trainer_of(tmp_path, change)
    batches = [trainer.maker.make(start, 4) for start in range(0, 16, 4)]
    trainer.step(batches[0])  # the first one links its program
    with Called() as called:
        for batch in batches[1:]:
            trainer.step(batch)
    assert called.count, "the mode sees what runs"
    assert {name: called.count[name] for name in WAITS if called.count[name]} == {}


def test_one_call_updates_all_weights_and_one_each_average(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, PROFILES)
    trainer.step(trainer.maker.make(0, 4))
    with Called() as called:
        trainer.step(trainer.maker.make(4, 4))
    assert called.count["_fused_adamw_"] == 1
    assert called.count["_foreach_lerp_"] == 3, "two rates and a profile"
    assert called.count["_foreach_norm"] == 1
    assert called.count["lerp_"] == called.count["addcdiv_"] == 0
