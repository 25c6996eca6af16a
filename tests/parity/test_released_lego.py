"""Every brick's output equals the public implementation's on stored inputs and weights (tests/reference/README.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from legoc.lower.program import lower_sampling
from legoc_runtime.contract.stack import BrickShape, EdmConstants, StackShape
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore
from tests.reference_files import REFERENCE

NAMES = {
    "x_embedder.proj": "embed",
    "attn.qkv": "attn.qkv",
    "attn.proj": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "adaLN_modulation.1": "adaln",
    "final_layer.linear": "final.linear",
    "final_layer.adaLN_modulation.1": "final.adaln",
}


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["config"])  # noqa: SIM118


def released_shape(config: dict) -> StackShape:
    bricks = tuple(
        BrickShape(
            id=f"brick{i}",
            window=(size, size),
            grid=(config["grid"], config["grid"]),
            receptive_field=config["receptive_fields"][i],
            depth=config["depths"][i],
            width=config["width"],
            heads=config["heads"],
            mlp_ratio=4.0,
            channels=config["channels"],
            coordinates=2,
            takes_estimate=i > 0,
            condition_width=config["width"],
        )
        for i, size in enumerate(config["image_sizes"])
    )
    return StackShape(
        channels=config["channels"],
        grid=(config["grid"], config["grid"]),
        classes=config["label_dim"] or None,
        label_form="linear",
        coordinates="row_column",
        condition_width=config["width"],
        carry="raw",
        diffusion=EdmConstants(),
        bricks=bricks,
    )


def released_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if not key.startswith("weights/") or key.endswith("pos_embed"):
            continue
        name, _, kind = key.removeprefix("weights/").rpartition(".")
        match name.split("."):
            case ["t_embedder", "mlp", layer]:
                weights[f"conditioning.time.fc{1 if layer == '0' else 2}.{kind}"] = tensor
            case ["y_embedder", "embedding_table"]:
                weights[f"conditioning.label.{kind}"] = tensor.T if kind == "weight" else tensor
            case ["model", brick, "blocks", block, *rest]:
                weights[f"bricks.brick{brick}.blocks.{block}.{NAMES['.'.join(rest)]}.{kind}"] = tensor
            case ["model", brick, *rest]:
                tensor = tensor.flatten(1) if tensor.ndim == 4 else tensor
                weights[f"bricks.brick{brick}.{NAMES['.'.join(rest)]}.{kind}"] = tensor
    return weights


class StoredSinusoid(nn.Module):
    """The reference's own sinusoid table for its stored times."""

    def __init__(self, times: Tensor, table: Tensor) -> None:
        super().__init__()
        self.times, self.table = times, table

    def forward(self, time: Tensor) -> Tensor:
        rows = [(self.times - t).abs().argmin() for t in time]
        assert all((self.times[row] - t).abs() < 1e-6 for row, t in zip(rows, time, strict=True))
        return self.table[torch.stack(rows)]


def store_with_stored_tables(shape: StackShape, tensors: dict[str, Tensor], dtype: torch.dtype) -> WeightStore:
    store = WeightStore(shape, dtype=dtype)
    store.load(released_weights(tensors))
    for i, brick in enumerate(shape.bricks):
        position = tensors[f"weights/model.{i}.pos_embed"][0]
        ours = store.get_submodule(f"brick_brick{i}.embed").position
        torch.testing.assert_close(ours.float(), position, rtol=0, atol=1e-6)
        assert ours.shape == (brick.tokens, brick.width)
        ours.copy_(position)
    torch.testing.assert_close(store.coordinates.table.float(), tensors["aux/coords"], rtol=0, atol=1e-6)
    return store


def bare_outputs(shape: StackShape, store: WeightStore, x: Tensor, time: Tensor, labels: Tensor | None) -> list[Tensor]:
    """Raw outputs F of each brick from the linked program, entered below its preconditioning."""
    module = link(lower_sampling(shape, shape.ids), store)
    wanted = {f"{brick.id}_network": i for i, brick in enumerate(shape.bricks)}
    outputs: dict[int, Tensor] = {}
    given = {"x_scaled": x, "c_noise": time, "label": labels}

    class Interpreter(torch.fx.Interpreter):
        def run_node(self, node):
            if node.name in given:
                return given[node.name]
            result = super().run_node(node)
            if node.name in wanted:
                outputs[wanted[node.name]] = result
            return result

    ones = torch.ones(x.shape[0], dtype=x.dtype)
    arguments = [x, ones] if labels is None else [x, ones, labels]
    with torch.no_grad():
        Interpreter(module).run(*arguments)
    return [outputs[i] for i in range(len(outputs))]


@pytest.mark.parametrize("name", ["lego_tiny_pg", "lego_tiny_u"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-9), (torch.float32, 5e-5)])
def test_every_brick_equals_the_public_network(name, dtype, bound):
    tensors, config = read(REFERENCE / f"{name}.safetensors")
    shape = released_shape(config)
    store = store_with_stored_tables(shape, tensors, dtype)
    times = tensors["timesteps"].to(torch.float64)
    store.conditioning.time.sinusoid = StoredSinusoid(times, tensors["aux/t_freq"].to(dtype))
    labels = None
    if shape.classes is not None:
        one_hot = tensors["labels"]
        labels = torch.where(one_hot.any(1), one_hot.argmax(1), shape.classes)
    outputs = bare_outputs(shape, store, tensors["x"].to(dtype), times.to(dtype), labels)
    for i, output in enumerate(outputs):
        error = (output.double() - tensors[f"out/brick{i}"]).abs().max().item()
        assert error < bound, f"brick {i}: {error:.2e}"
    if labels is not None:
        null = torch.full_like(labels, shape.classes)
        out = bare_outputs(shape, store, tensors["x"].to(dtype), times.to(dtype), null)[-1]
        assert (out.double() - tensors[f"out_null/brick{len(outputs) - 1}"]).abs().max() < bound


@pytest.mark.parametrize("name", ["lego_tiny_pg", "lego_tiny_u"])
def test_the_preconditioned_estimate_equals_the_public_one(name):
    """Whole programs, our own tables: sigma in, estimate of each prefix of the stack out."""
    tensors, config = read(REFERENCE / f"{name}.safetensors")
    shape = released_shape(config)
    store = WeightStore(shape, dtype=torch.float64)
    store.load(released_weights(tensors))
    arguments = [tensors["edm_x"].double(), tensors["sigma"].double()]
    if shape.classes is not None:
        one_hot = tensors["edm_labels"]
        arguments.append(torch.where(one_hot.any(1), one_hot.argmax(1), shape.classes))
    for i in range(len(shape.bricks)):
        # the public network stops after brick i: in ours, the bricks above it are skipped
        module = link(lower_sampling(shape, shape.ids[: i + 1]), store)
        with torch.no_grad():
            estimate = module(*arguments)
        assert (estimate - tensors[f"denoised_f64/brick{i}"]).abs().max() < 5e-6


def test_the_bound_would_notice_another_epsilon(monkeypatch):
    """The double-precision bound is sharp: a layer norm with eps 1e-5 is seen."""
    tensors, config = read(REFERENCE / "lego_tiny_pg.safetensors")
    shape = released_shape(config)
    store = store_with_stored_tables(shape, tensors, torch.float64)
    times = tensors["timesteps"].double()
    store.conditioning.time.sinusoid = StoredSinusoid(times, tensors["aux/t_freq"])
    one_hot = tensors["labels"]
    labels = torch.where(one_hot.any(1), one_hot.argmax(1), shape.classes)
    monkeypatch.setattr("legoc_runtime.layers.leaves.LAYER_NORM_EPS", 1e-5)
    output = bare_outputs(shape, store, tensors["x"].double(), times, labels)[-1]
    assert (output - tensors["out/brick2"]).abs().max() > 1e-6
