"""`fill: model`: the estimates of windows that a brick does not train on, without gradient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from legoc.lower.pipeline import choose, training_program
from legoc.lower.program import lower_sampling
from legoc_runtime.backends.inductor import Inductor
from legoc_runtime.contract.program import WindowIndex
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.layers.patching import other_windows
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore
from tests.stacks import batch, random_store, stack
from tests.training.test_resume import assert_same_tensors, stop_after
from tests.training.tiny import tiny_build, train_tiny

MODEL = TrainSettings(fill="model")
SAMPLED = (0.5, 0.25, 1.0)


def arguments(shape: StackShape, train: TrainSettings, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """What the training program reads, with windows drawn at random; `clean` is noise."""
    x, sigma, *label = batch(shape, 2, dtype=dtype)
    given = {"x": x, "sigma": sigma, "clean": torch.randn_like(x)} | ({"label": label[0]} if label else {})
    generator = torch.Generator().manual_seed(5)
    for name, kind in training_program(shape, train, choose()).inputs:
        if isinstance(kind, WindowIndex):
            drawn = torch.stack([torch.randperm(kind.windows, generator=generator) for _ in range(2)])
            given[name] = drawn[:, : kind.taken].sort(dim=1).values
    return given


def run(shape: StackShape, store: WeightStore, train: TrainSettings, given: dict[str, Tensor]) -> dict[str, Tensor]:
    program = training_program(shape, train, choose())
    results = link(program, store)(*(given[name] for name, _ in program.inputs))
    return dict(zip((name for name, _ in program.outputs), results, strict=True))


def backward(outputs: Sequence[Tensor]) -> None:
    loss = torch.stack([output.sin().sum() for output in outputs if output.requires_grad]).sum()
    loss.backward()  # pyright: ignore[reportUnknownMemberType]


def test_other_windows_are_the_complement_in_order() -> None:
    index = torch.tensor([[0, 3], [1, 2]])
    assert torch.equal(other_windows(index, 5), torch.tensor([[1, 2, 4], [0, 3, 4]]))


@pytest.mark.parametrize("carry", ["x0", "raw"])
def test_every_brick_sees_what_it_sees_when_sampling(carry: Any) -> None:
    """No window is missing below it: in the windows that it trains on, each brick gives the whole stack's estimate."""
    shape = stack(carry=carry, train_patches=SAMPLED)
    store = random_store(shape, dtype=torch.float64)
    given = arguments(shape, MODEL)
    named = run(shape, store, MODEL, given)
    for count in (1, 2, 3):
        id = shape.ids[count - 1]
        full = link(lower_sampling(shape, shape.ids[:count]), store)(given["x"], given["sigma"], given["label"])
        mask = named.get(f"mask.{id}", torch.ones(1)).bool().expand_as(full)
        torch.testing.assert_close(named[f"estimate.{id}"][mask], full[mask], rtol=0, atol=1e-12)
        if count < 3:
            noisy = run(shape, store, TrainSettings(), given)[f"estimate.{shape.ids[count]}"]
            assert not torch.allclose(noisy, named[f"estimate.{shape.ids[count]}"])


@pytest.mark.parametrize("carry", ["x0", "raw"])
def test_no_gradient_flows_through_what_stands_in(carry: Any) -> None:
    """The gradients are those of the same estimates given from outside, as constants."""
    shape = stack((4, 32), receptive_fields=(2, 4), train_patches=(0.5, 1.0), ids=("low", "top"), carry=carry)
    given = arguments(shape, MODEL)
    gradients: list[dict[str, Tensor]] = []
    for train in (MODEL, TrainSettings(fill="x0")):
        store = random_store(shape, dtype=torch.float64)
        with torch.no_grad():
            outside = link(lower_sampling(shape, ("low",)), store)(given["x"], given["sigma"], given["label"])
        results = run(shape, store, train, given | {"clean": outside})
        backward([results["estimate.low"], results["estimate.top"]])
        gradients.append({key: weight.grad for key, weight in store.weights.items() if weight.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for key, ours in gradients[0].items():
        torch.testing.assert_close(ours, gradients[1][key], rtol=0, atol=1e-12)


def test_nothing_of_it_is_kept_for_the_backward_pass() -> None:
    shape = stack(train_patches=(0.25, 0.25, 1.0))
    store = random_store(shape)
    found: dict[str, int] = {}
    for train in (TrainSettings(fill="x0"), MODEL):
        given = arguments(shape, train, torch.float32)
        kept: dict[int, tuple[int, object]] = {}

        def keep(tensor: Tensor, kept: dict[int, tuple[int, object]] = kept) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes(), storage
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            results = run(shape, store, train, given)
        assert results["estimate.whole"].requires_grad
        found[train.fill] = sum(size for size, _ in kept.values())
    assert found["model"] == found["x0"]


def test_recording_is_as_it_was_after_a_module_that_failed() -> None:
    """Also within `torch.no_grad`: what runs without gradient does not switch it on behind itself."""
    shape = stack(train_patches=SAMPLED)
    store = random_store(shape)
    given = arguments(shape, MODEL, torch.float32)
    with torch.no_grad():
        results = run(shape, store, MODEL, given)
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
    assert not any(value.requires_grad for value in results.values())


def test_resume_is_exact(tmp_path: Path) -> None:
    build = tiny_build(change=("flip: true", "flip: true, fill: model"))
    straight = train_tiny(tmp_path / "straight", build)
    train_tiny(tmp_path / "broken", build, stop=stop_after(3))
    finished = train_tiny(tmp_path / "broken", build)
    assert straight.checkpoint is not None
    assert finished.checkpoint is not None
    assert_same_tensors(straight.checkpoint, finished.checkpoint)


@pytest.mark.compiler
@pytest.mark.parametrize("carry", ["x0", "raw"])
def test_compiled_blocks_give_the_same(carry: Any) -> None:
    shape = stack((4, 32), receptive_fields=(2, 4), train_patches=(0.5, 1.0), ids=("low", "top"), carry=carry)
    given = arguments(shape, MODEL, torch.float32)
    program = training_program(shape, MODEL, choose())
    values = tuple(given[name] for name, _ in program.inputs)
    results: list[list[Tensor]] = []
    for compiled in (False, True):
        store = random_store(shape)
        module: Any = link(program, store)
        outputs = (Inductor().compile(module, training=True) if compiled else module)(*values)
        backward(outputs)
        gradients = [weight.grad for weight in store.weights.values() if weight.grad is not None]
        results.append([*(output.detach() for output in outputs), *gradients])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
