"""The formulas of memory against what eager modules hold, and against what a GPU was seen to hold."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from legoc.cost import memory
from legoc.cost.memory import training_numbers, training_state_bytes
from legoc.cost.peer import dit_xl_2
from legoc.lower.program import lower_sampling, lower_training
from legoc.spec import load_spec
from legoc_runtime.contract.program import WindowIndex
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore
from tests.spec.preset_table import SPECS
from tests.stacks import batch, random_store, stack

IMAGES = 4
GIB = 2**30
SHAPES = {
    "pg": stack(depths=(2, 2, 2), widths=(64, 64, 64)),
    "sampled patches": stack(depths=(2, 2, 3), widths=(96, 96, 96), train_patches=(0.5, 0.5, 1.0)),
    "windows alone": stack((4,), receptive_fields=(2,), depths=(3,), widths=(64,), ids=("a",), heads=2),
}


class Held(TorchDispatchMode):
    """Bytes of the tensors that operations make, while they live; weights are not counted."""

    def __init__(self, store: WeightStore) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self.weights = {weight.untyped_storage()._cdata for weight in (*store.parameters(), *store.buffers())}
        self.now = self.peak = 0
        self.storages: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            storage = tensor.untyped_storage()
            if storage._cdata not in self.weights | self.storages.keys() and storage.nbytes():
                self.storages[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self.gone, storage._cdata)
        return result

    def gone(self, storage: int) -> None:
        self.now -= self.storages.pop(storage)


@pytest.mark.parametrize("name", SHAPES)
def test_sampling_holds_what_the_formula_says(name: str) -> None:
    shape = SHAPES[name]
    store = random_store(shape)
    module = link(lower_sampling(shape, shape.ids), store)
    with torch.no_grad(), Held(store) as held:
        module(*batch(shape, IMAGES))
    assert memory(shape).sampling_activations["float32"] * IMAGES == pytest.approx(held.peak, rel=0.1)


@pytest.mark.parametrize("name", SHAPES)
def test_training_holds_what_the_formula_says(name: str) -> None:
    shape = SHAPES[name]
    store = random_store(shape)
    weights = {weight.untyped_storage()._cdata for weight in store.parameters()}
    saved: dict[int, tuple[int, object]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            saved[storage._cdata] = storage.nbytes(), storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        estimates = train_step(shape, store)
        sum(estimate.square().mean() for estimate in estimates if estimate.requires_grad)
    found = sum(size for size, _ in saved.values())
    assert memory(shape).training_activations["float32"] * IMAGES == pytest.approx(found, rel=0.1)


def train_step(shape: StackShape, store: WeightStore) -> tuple[torch.Tensor, ...]:
    program = lower_training(shape, TrainSettings())
    given: dict[str, torch.Tensor] = dict(zip(("x", "sigma", "label"), batch(shape, IMAGES), strict=True))
    for name, kind in program.inputs:
        if isinstance(kind, WindowIndex):
            trained = shape.brick(name.removesuffix(".windows")).windows_trained
            given[name] = torch.arange(trained).expand(IMAGES, -1).contiguous()
    found: Any = link(program, store)(*(given[name] for name, _ in program.inputs))
    results: tuple[torch.Tensor, ...] = (found,) if isinstance(found, torch.Tensor) else found
    return results


def test_a_gpu_was_seen_to_hold_as_much() -> None:
    """An H100 at batch 64, bf16 autocast, compiled, no averages: DiT-XL/2 28.9 GiB, LEGO-XL-PG of 681M 22.7 GiB.

    Published measurements of the public implementations; both trained on all windows.
    """
    dit = dit_xl_2((32, 32), 4)
    assert dit is not None
    lego = load_spec(SPECS / "lego_pg_xl.yaml", ["brick_defaults.train_patches=1"]).shape
    for shape, seen in ((dit, 28.9), (lego, 22.7)):
        count = memory(shape).weights["bfloat16"] // 2
        bytes_held = training_state_bytes(count, averages=0) + 64 * 2 * training_numbers(shape)
        assert bytes_held / GIB == pytest.approx(seen, rel=0.1)


def test_state_and_weights() -> None:
    shape = SHAPES["pg"]
    one, two = memory(shape, TrainSettings(ema=(0.9,))), memory(shape, TrainSettings(ema=(0.9, 0.5)))
    assert one.weights["float32"] == 2 * one.weights["bfloat16"]
    assert one.training_state == 5 * one.weights["float32"]
    assert two.training_state - one.training_state == one.weights["float32"]
