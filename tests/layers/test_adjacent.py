"""Weights of several layers in one buffer: together a view, alone plain parameters."""

from __future__ import annotations

import pytest
import torch

from legoc_runtime.layers.adjacent import adjacent, lay_out
from legoc_runtime.layers.leaves import Modulate


def layers():
    made = [Modulate(5, rows, device="meta") for rows in (4, 2, 6)]
    lay_out(made, device="cpu", dtype=torch.float64)
    with torch.no_grad():
        for layer in made:
            layer.weight.normal_()
            layer.bias.normal_()
    return made


def test_neighbours_together_are_a_view():
    made = layers()
    for run in (made, made[:2], made[1:], made[1:2]):
        for name in ("weight", "bias"):
            parts = [getattr(layer, name) for layer in run]
            together = adjacent(parts)
            assert torch.equal(together, torch.cat(parts))
            assert together.data_ptr() == parts[0].data_ptr()
            assert not together.requires_grad


def test_an_update_of_one_layer_is_seen_in_the_view():
    made = layers()
    together = adjacent([layer.weight for layer in made])
    optimizer = torch.optim.AdamW([layer.weight for layer in made], lr=0.1, fused=True)
    sum(layer.weight.square().sum() for layer in made).backward()
    optimizer.step()
    assert torch.equal(together, torch.cat([layer.weight for layer in made]))


@pytest.mark.parametrize(
    "pick",
    [
        lambda made: [made[0].weight, made[2].weight],
        lambda made: [made[1].weight, made[0].weight],
        lambda made: [made[0].weight, made[1].weight.detach().clone()],
        lambda made: [made[0].weight[:, :3], made[1].weight[:, :3]],
        lambda made: [made[0].weight.to("meta"), made[1].weight.to("meta")],
    ],
    ids=["a gap", "another order", "another buffer", "columns", "no memory"],
)
def test_what_is_not_side_by_side_is_no_view(pick):
    assert adjacent(pick(layers())) is None
