from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from legoc_runtime.errors import UsageError
from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.feed import Feed
from legoc_runtime.training.ranks import ALONE
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.trainer import Trainer
from tests.training.tiny import tiny_build, tiny_data, train_tiny


@pytest.fixture
def no_waiting() -> Generator[None]:
    """CUDA raises where the host would wait for the device."""
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_steps_on_a_gpu_never_wait_for_it(tmp_path: Path, no_waiting: None) -> None:
    manifest, _ = tiny_build()
    device = torch.device("cuda", 0)
    store = WeightStore(manifest.shape, device=device)
    store.initialise(0)
    stack = TrainingStack(manifest, store, backend="eager")
    trainer = Trainer(manifest, tiny_data(tmp_path), manifest.train, TrainState(store, manifest.train), stack)
    with Feed(trainer.maker, start=0, size=4, device=device, ranks=ALONE) as feed:
        trainer.step(feed.take())  # the first one allocates
        torch.cuda.set_sync_debug_mode("error")
        for _ in range(3):
            trainer.step(feed.take())
        torch.cuda.set_sync_debug_mode("default")
    trainer.check_finite()
    assert trainer.metrics().step == 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_absent_cuda_is_said_and_never_replaced_silently(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no CUDA device here"):
        train_tiny(tmp_path / "run", device="cuda")
    train_tiny(tmp_path / "run", device="auto", images=4)
