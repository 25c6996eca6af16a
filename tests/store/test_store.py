"""The weight store: keys, initialisation, generations, strict loading."""

from __future__ import annotations

import pytest
import torch

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.contract.stack import weight_shapes
from legoc_runtime.errors import RunError
from legoc_runtime.layers.adjacent import adjacent
from legoc_runtime.store import WeightStore
from tests.stacks import random_store, stack


def test_keys_and_shapes_are_the_contracts():
    shape = stack(ids=("half", "train", "class"))  # names that nn.Module or Python use themselves
    store = WeightStore(shape)
    assert {key: tuple(weight.shape) for key, weight in store.weights.items()} == weight_shapes(shape)


def test_initialisation_depends_on_seed_and_key_alone():
    three, two = WeightStore(stack()), WeightStore(stack(windows=(4, 16)))
    for store in (three, two):
        store.initialise(7)
    for key in set(three.weights) & set(two.weights):
        assert torch.equal(three.weights[key], two.weights[key]), key
    other = WeightStore(stack())
    other.initialise(8)
    key = "bricks.windows.embed.weight"
    assert not torch.equal(three.weights[key], other.weights[key])


def test_a_fresh_stack_starts_as_the_identity_on_its_skip_path():
    store = WeightStore(stack())
    store.initialise(0)
    zero = [k for k, w in store.weights.items() if not w.any()]
    assert all(k in zero for k in store.weights if ".adaln." in k or ".final." in k or k.endswith(".bias"))
    assert "bricks.whole.blocks.0.attn.qkv.weight" not in zero


def test_the_generation_moves_with_every_update_even_of_a_fused_optimizer():
    store = random_store(stack())
    optimizer = torch.optim.AdamW(store.parameters(), lr=1e-3, fused=True)
    for weight in store.weights.values():
        weight.grad = torch.ones_like(weight)
    made = []

    def make() -> float:
        made.append(1)
        return store.weights["bricks.windows.embed.weight"].sum().item()

    first = store.derived("sum", make)
    assert store.derived("sum", make) == first
    assert len(made) == 1
    with store.updating():
        optimizer.step()
    assert store.derived("sum", make) != first
    assert len(made) == 2


def test_an_update_that_fails_half_way_still_moves_the_generation():
    store = random_store(stack())
    generation = store.generation
    with pytest.raises(RuntimeError, match="half way"), store.updating():
        raise RuntimeError("half way")
    assert store.generation == generation + 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("bricks.parts.embed.bias"), "missing bricks.parts.embed.bias"),
        (lambda w: w.update(extra=torch.zeros(1)), "unknown extra"),
        (lambda w: w.update({"bricks.parts.embed.bias": torch.zeros(3)}), r"is \(3,\), not \(32,\)"),
    ],
)
def test_loading_is_all_or_nothing(change, words):
    store = random_store(stack())
    before = {key: weight.detach().clone() for key, weight in store.weights.items()}
    tensors = {key: weight + 1 for key, weight in before.items()}
    change(tensors)
    with pytest.raises(RunError, match=words):
        store.load(tensors)
    assert all(torch.equal(store.weights[key], weight) for key, weight in before.items())


def test_modulation_layers_lie_side_by_side_bottom_brick_first():
    shape = stack(depths=(1, 3, 2))
    store = random_store(shape)
    layers = [layer for id in shape.ids for layer in store.adaln_layers(id)]
    assert [layer.out_features for layer in layers] == [192, 64, 192, 192, 192, 64, 192, 192, 64]
    assert adjacent([layer.weight for layer in layers]).shape == (1344, 32)
    assert adjacent([layer.bias for layer in layers]).shape == (1344,)
    assert adjacent([layer.weight for layer in store.adaln_layers("parts")]).shape == (640, 32)


def test_weights_that_share_a_buffer_are_saved_one_by_one(tmp_path):
    store, other = random_store(stack()), random_store(stack(), seed=1)
    tensorfile.save(tmp_path / "weights.safetensors", store.weights, {})
    loaded = tensorfile.load(tmp_path / "weights.safetensors")
    assert {key: tuple(tensor.shape) for key, tensor in loaded.items()} == weight_shapes(stack())
    assert (tmp_path / "weights.safetensors").stat().st_size < 1.05 * sum(w.nbytes for w in store.weights.values())
    other.load(loaded)
    assert all(torch.equal(other.weights[key], weight) for key, weight in store.weights.items())
    assert adjacent([layer.weight for layer in other.adaln_layers("parts")]) is not None
