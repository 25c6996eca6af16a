"""DiT as a one-brick stack on DDPM's chain equals the public implementation (tests/reference/README.md)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from legoc.lower.pipeline import choose, sampling_program
from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.stack import BrickShape, DdpmConstants, StackShape
from legoc_runtime.layers.leaves import Sinusoid
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore
from tests.parity.test_released_lego import NAMES, read
from tests.reference_files import REFERENCE


def dit_shape() -> StackShape:
    brick = BrickShape(
        id="dit",
        window=(16, 16),
        grid=(16, 16),
        receptive_field=2,
        depth=3,
        width=64,
        heads=4,
        mlp_ratio=4.0,
        channels=4,
        coordinates=0,
        takes_estimate=False,
        condition_width=64,
        variance_channels=4,
    )
    diffusion = DdpmConstants(variance="learned_range")
    return StackShape(4, (16, 16), 10, "table", "none", 64, "x0", diffusion, (brick,))


def dit_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if not key.startswith("weights/") or key.endswith("pos_embed"):
            continue
        name, _, kind = key.removeprefix("weights/").rpartition(".")
        match name.split("."):
            case ["t_embedder", "mlp", layer]:
                weights[f"conditioning.time.fc{1 if layer == '0' else 2}.{kind}"] = tensor
            case ["y_embedder", "embedding_table"]:
                weights["conditioning.label.weight"] = tensor
            case ["blocks", block, *rest]:
                weights[f"bricks.dit.blocks.{block}.{NAMES['.'.join(rest)]}.{kind}"] = tensor
            case rest:
                matrix = tensor.flatten(1) if tensor.ndim == 4 else tensor
                weights[f"bricks.dit.{NAMES['.'.join(rest)]}.{kind}"] = matrix
    return weights


def test_noise_and_variance_are_the_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program takes x / sqrt(abar) and gives x0 and v; eps is (x - x0) / sigma. Sinusoids are the stored ones."""
    tensors, _ = read(REFERENCE / "dit_tiny.safetensors")
    shape = dit_shape()
    store = WeightStore(shape, dtype=torch.float64)
    store.load(dit_weights(tensors))
    sigma = torch.tensor(chain_levels(shape.diffusion), dtype=torch.float64)[tensors["t"]]
    x = tensors["x"].double() * (1 + sigma**2).sqrt()[:, None, None, None]

    def stored(self: Sinusoid, time: Tensor) -> Tensor:
        assert torch.equal(time, tensors["t"].double())
        return tensors["aux/t_freq"].double()

    monkeypatch.setattr(Sinusoid, "forward", stored)
    module = link(sampling_program(shape, shape.ids, choose()), store)
    for labels, expected in ((tensors["y"], "output_f64"), (torch.full_like(tensors["y"], 10), "output_null")):
        with torch.no_grad():
            estimate, v = module(x, sigma, labels).chunk(2, dim=1)
        eps = (x - estimate) / sigma[:, None, None, None]
        bound = 1e-10 if expected.endswith("f64") else 1e-4
        torch.testing.assert_close(torch.cat([eps, v], dim=1), tensors[expected].double(), rtol=bound, atol=bound)
