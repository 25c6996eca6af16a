"""What a step computes in and in how many parts: the same training, by rounding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from legoc_runtime.backends.inductor import Inductor
from legoc_runtime.checkpoint.tensorfile import load
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.optimizer import Optimizer
from legoc_runtime.training.precision import FIRST_SCALE, GROWTH_STEPS, LossScale
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.trainer import Trainer
from tests.stacks import random_store, stack
from tests.training.tiny import tiny_build, tiny_data, train_tiny

FP16 = TrainSettings(precision="fp16", learning_rate=1e-2, warmup_images=0, clip_norm=1.0)
NO_COMPILER = Inductor().available()


class Operations(TorchDispatchMode):
    """Notes the types that products are computed in; refuses what waits for the device."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")

    def __init__(self) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self.products: Counter[torch.dtype] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in self.WAITS, f"{func} waits for the device"
        if name in ("mm", "addmm", "bmm"):
            self.products[args[-1].dtype] += 1
        return func(*args, **(kwargs or {}))


ONE_BRICK = {
    "small": ("  - {id: small, size: 2, receptive_field: 1}\n", ""),
    "parts": ("  - {id: parts, size: 4, receptive_field: 2}\n", ""),
    "patches": (", train_patches: 0.5", ""),
}
"""Compiling takes seconds a brick."""


def trainer(folder: Path, backend: str = "eager", edits: Any = (), **changes: Any) -> Trainer:
    """At weights that are drawn, so that nothing is switched off."""
    manifest, _ = tiny_build(**dict(edits))
    settings = replace(manifest.train, warmup_images=0, learning_rate=1e-3, **changes)
    store = random_store(manifest.shape)
    recompute = settings.checkpoint_activations == "bricks"
    module = TrainingStack(manifest, store, backend=backend, checkpoint_bricks=recompute)
    return Trainer(manifest, tiny_data(folder), settings, TrainState(store, settings), module)


def gradients(of: Trainer) -> tuple[float, dict[str, torch.Tensor]]:
    """Bytes that a step held for its backward pass, and the gradients that it came to."""
    held: dict[int, int] = {}
    found: dict[str, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def keep(key: str) -> Callable[[torch.Tensor], None]:
        def kept(weight: torch.Tensor) -> None:
            assert weight.grad is not None
            found[key] = weight.grad.clone()

        return kept

    for key, weight in of.state.store.weights.items():
        weight.register_post_accumulate_grad_hook(keep(key))  # pyright: ignore[reportUnknownMemberType]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        of.step(of.maker.make(0, 4))
    return sum(held.values()), found


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Norm of the difference over that of what was expected."""
    return float((found - expected).square().sum().sqrt() / expected.square().sum().sqrt())


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_products_have_the_precisions_type_and_nothing_waits_for_the_device(
    tmp_path: Path, precision: str, dtype: torch.dtype
) -> None:
    subject = trainer(tmp_path, precision=precision, accumulate=2)
    batch = subject.maker.make(0, 4)
    with Operations() as operations:
        subject.step(batch)
    # constants of an embedding are made in float32 whatever the precision; sums of losses in float64
    few = {torch.float32, torch.float64} - {dtype}
    assert operations.products.keys() <= {dtype, *few}
    assert operations.products[dtype] > 5 * sum(operations.products[other] for other in few)
    held = [*subject.state.store.weights.values(), *subject.state.optimizer.tensors().values()]
    assert {tensor.dtype for tensor in held} == {torch.float32}


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"precision": "fp16"}, {"accumulate": 2}])
def test_gradients_agree_with_float32_whole(tmp_path: Path, change: dict[str, Any]) -> None:
    tolerance = {"bf16": 3e-2, "fp16": 3e-3}.get(change.get("precision", ""), 1e-5)
    _, expected = gradients(trainer(tmp_path))
    subject = trainer(tmp_path, **change)
    _, found = gradients(subject)
    scale = 1.0 if subject.state.optimizer.scale is None else FIRST_SCALE
    for key, gradient in expected.items():
        error = distance(found[key] / scale, gradient)
        assert error < tolerance, f"{key}: {error}"


@pytest.mark.parametrize("edits", [{}, {"fill": ("flip: true", "flip: true, fill: model")}], ids=["", "fill-model"])
def test_bricks_computed_again_give_the_same_bits_from_less_memory(tmp_path: Path, edits: Any) -> None:
    whole, expected = gradients(trainer(tmp_path, edits=edits))
    less, found = gradients(trainer(tmp_path, edits=edits, checkpoint_activations="bricks"))
    assert all(torch.equal(found[key], gradient) for key, gradient in expected.items())
    assert less < 0.5 * whole


@pytest.mark.compiler
@pytest.mark.skipif(NO_COMPILER is not None, reason=f"inductor: {NO_COMPILER}")
def test_compiled_blocks_are_computed_again_in_their_precision(tmp_path: Path) -> None:
    change = {"precision": "bf16", "checkpoint_activations": "bricks"}
    _, expected = gradients(trainer(tmp_path, edits=ONE_BRICK, **change))
    _, found = gradients(trainer(tmp_path, "inductor", ONE_BRICK, **change))
    for key, gradient in expected.items():
        error = distance(found[key], gradient)
        assert error < 5e-2, f"{key}: {error}"


@pytest.mark.parametrize(
    "change",
    [{"precision": "bf16"}, {"precision": "fp16"}, {"accumulate": 2, "checkpoint_activations": "bricks"}],
    ids=["bf16", "fp16", "parts"],
)
def test_stopping_and_continuing_equals_never_stopping(tmp_path: Path, change: dict[str, Any]) -> None:
    straight = train_tiny(tmp_path / "straight", schedule="cosine", **change).checkpoint
    asked = iter([False, False, False, True])
    train_tiny(tmp_path / "broken", schedule="cosine", stop=lambda: next(asked), **change)
    continued = train_tiny(tmp_path / "broken", schedule="cosine", **change).checkpoint
    assert straight is not None
    assert continued is not None
    for name in ("weights", "ema-0.9", "optimizer"):
        left, right = (load(path / f"{name}.safetensors") for path in (straight, continued))
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)
    assert ("loss_scale/scale" in load(straight / "optimizer.safetensors")) == (change.get("precision") == "fp16")


def scaled_step(optimizer: Optimizer, store: WeightStore, factor: float, loss: float = 1.0) -> bool:
    """One step on gradients times a factor; whether it moved the weights."""
    before = {key: weight.detach().clone() for key, weight in store.weights.items()}
    assert optimizer.scale is not None
    for weight in store.weights.values():
        weight.grad = torch.full_like(weight, 1e-3) * optimizer.scale.scale * factor
    optimizer.apply(torch.tensor(loss), start=7, images=8)
    return any(not torch.equal(before[key], weight) for key, weight in store.weights.items())


def test_step_whose_gradient_overflows_is_left_out_and_the_scale_halves() -> None:
    store = random_store(stack())
    optimizer = Optimizer(store, FP16)
    assert optimizer.scale is not None
    assert scaled_step(optimizer, store, 1.0)
    moments = {key: tensor.clone() for key, tensor in optimizer.tensors().items() if "/" in key and "scale" not in key}
    assert not scaled_step(optimizer, store, float("inf"))
    assert all(torch.equal(optimizer.tensors()[key], tensor) for key, tensor in moments.items())
    assert (float(optimizer.scale.scale), int(optimizer.halted_at)) == (FIRST_SCALE / 2, -1)
    assert scaled_step(optimizer, store, 1.0)


def test_the_scale_leaves_no_trace_in_the_update() -> None:
    stores = [random_store(stack()), random_store(stack())]
    scaled, plain = Optimizer(stores[0], FP16), Optimizer(stores[1], replace(FP16, precision="float32"))
    scaled_step(scaled, stores[0], 1.0)
    for weight in stores[1].weights.values():
        weight.grad = torch.full_like(weight, 1e-3)
    plain.apply(torch.tensor(1.0), start=7, images=8)
    for key, weight in stores[0].weights.items():
        torch.testing.assert_close(weight, stores[1].weights[key], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("fault", ["scale", "loss"])
def test_without_a_scale_to_lower_or_a_finite_loss_the_run_is_over(fault: str) -> None:
    store = random_store(stack())
    optimizer = Optimizer(store, FP16)
    assert optimizer.scale is not None
    if fault == "scale":
        optimizer.scale.scale.fill_(1.0)
    moved = scaled_step(optimizer, store, float("inf"), float("inf") if fault == "loss" else 1.0)
    assert (moved, int(optimizer.halted_at)) == (False, 7)
    assert not scaled_step(optimizer, store, 1.0)


def test_scale_doubles_after_enough_calm_steps() -> None:
    scale = LossScale(torch.device("cpu"))
    for _ in range(GROWTH_STEPS):
        assert float(scale.scale) == FIRST_SCALE
        scale.update(torch.tensor(0.0))
    assert (float(scale.scale), float(scale.calm)) == (2 * FIRST_SCALE, 0.0)
