"""What is not finite stops the run, says where, and is never saved."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from legoc_runtime.checkpoint import checkpoints
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.batch import Batch, BatchMaker
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.trainer import Trainer
from tests.training.tiny import tiny_build, tiny_data, train_tiny


def poison(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    """The batch from position `start` on has one image that is not a number."""
    make = BatchMaker.make

    def poisoned(self: BatchMaker, at: int, size: int, *, skip: int = 0) -> Batch:
        batch = make(self, at, size, skip=skip)
        if at == start:
            batch.noisy[1] = math.nan
        return batch

    monkeypatch.setattr(BatchMaker, "make", poisoned)


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    manifest, _ = tiny_build()
    store = WeightStore(manifest.shape)
    store.initialise(0)
    state = TrainState(store, manifest.train)
    stack = TrainingStack(manifest, store, backend="eager")
    return Trainer(manifest, tiny_data(tmp_path), manifest.train, state, stack)


def set_weight(trainer: Trainer, key: str, value: float) -> None:
    with trainer.state.store.updating(), torch.no_grad():
        trainer.state.store.weights[key].fill_(value)


def test_run_stops_names_the_step_and_saves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, start=24)
    sigma = float(BatchMaker(tiny_data(tmp_path), tiny_build()[0].shape, 0, 0.3, True).make(24, 4).sigma[1])
    with pytest.raises(RunError, match=r"the loss of brick `small` is not finite at noise level") as error:
        train_tiny(tmp_path / "run")
    assert f"{sigma:.4g}" in error.value.message
    assert "from image 24 on" in error.value.message
    assert [path.name for path in checkpoints(tmp_path / "run")] == ["000000000020"]
    images = [json.loads(line)["images"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert images == [12, 24]


def test_device_holds_the_weights_from_the_bad_step_on(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look from the host: the bad step and all after it leave weights and moments alone."""
    poison(monkeypatch, start=4)
    trainer.step(trainer.maker.make(0, 4))
    before = {key: weight.detach().clone() for key, weight in trainer.state.store.weights.items()}
    moments = {key: tensor.clone() for key, tensor in trainer.state.optimizer.tensors().items()}
    for start in (4, 8, 12):
        trainer.step(trainer.maker.make(start, 4))
    assert all(torch.equal(before[key], weight) for key, weight in trainer.state.store.weights.items())
    assert all(torch.equal(moments[key], tensor) for key, tensor in trainer.state.optimizer.tensors().items())
    with pytest.raises(RunError, match="from image 4 on"):
        trainer.check_finite()


def test_the_brick_that_broke_is_named_not_the_ones_above_it(trainer: Trainer) -> None:
    set_weight(trainer, "bricks.parts.final.linear.bias", math.inf)
    trainer.step(trainer.maker.make(0, 4))
    with pytest.raises(RunError, match="loss of brick `parts`"):
        trainer.check_finite()


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (math.inf, r"gradient of bricks\.whole\.embed\.bias is not finite; its loss is largest at noise level"),
        (1e30, r"norm of the gradient is not finite; the loss is largest in brick `\w+` at noise level"),
    ],
)
def test_gradient_that_overflows_under_a_finite_loss_is_named(trainer: Trainer, factor: float, said: str) -> None:
    weight = trainer.state.store.weights["bricks.whole.embed.bias"]
    set_weight(trainer, "bricks.whole.final.linear.weight", 0.1)

    def too_large(gradient: torch.Tensor) -> torch.Tensor:
        return gradient * factor

    weight.register_hook(too_large)  # pyright: ignore[reportUnknownMemberType]
    before = weight.detach().clone()
    trainer.step(trainer.maker.make(0, 4))
    assert torch.equal(weight, before)
    with pytest.raises(RunError, match=said):
        trainer.check_finite()


def test_finite_run_passes(trainer: Trainer) -> None:
    trainer.step(trainer.maker.make(0, 4))
    trainer.check_finite()
    assert trainer.state.step == 1


def test_a_loss_of_no_brick_is_refused(tmp_path: Path) -> None:
    manifest, spec_text = tiny_build()
    bricks = tuple(replace(brick, loss_weight=0.0) for brick in manifest.shape.bricks)
    silent = replace(manifest, shape=replace(manifest.shape, bricks=bricks))
    with pytest.raises(UsageError, match="loss weights"):
        train_tiny(tmp_path / "run", (silent, spec_text))
