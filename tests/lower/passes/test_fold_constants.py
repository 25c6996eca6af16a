"""`fold-constants` on the text of programs, and what it keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from legoc.lower.passes.drop_absent_estimate import DropAbsentEstimate
from legoc.lower.passes.fold_constants import FoldConstants, constant_bytes
from legoc.lower.passes.window_layout import WindowLayout
from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.link.link import link
from tests.lower.passes.cases import SMALL, applied, changed_lines
from tests.stacks import batch, random_store, stack


def test_coordinates_are_not_read_any_more():
    before = lower_sampling(SMALL, ("parts",))
    gone, new = changed_lines(before, applied(before, SMALL, [FoldConstants()]))
    assert gone == [
        "%parts.pixels: tokens[4x4x512] = partition(%nothing, %x.scaled) "
        "{brick=parts, coordinates=row_column, window=16x16, receptive_field=8}",
        "%parts.tokens: tokens[4x4x32] = embed(%parts.pixels) {brick=parts}",
    ]
    assert new == [
        "%parts.pixels: tokens[4x4x384] = partition(%nothing, %x.scaled) "
        "{brick=parts, coordinates=none, window=16x16, receptive_field=8}",
        "%parts.tokens: tokens[4x4x32] = embed_folded(%parts.pixels) "
        "{brick=parts, first=0, count=6, coordinates=row_column, layout=16x16/8}",
    ]


def test_after_other_passes_too():
    both = [DropAbsentEstimate(), WindowLayout()]
    before = applied(lower_sampling(SMALL, ("parts", "whole")), SMALL, both)
    _, new = changed_lines(before, applied(before, SMALL, [FoldConstants()]))
    assert new == [
        "%parts.pixels: tokens[4x4x192] = partition(%x.scaled) "
        "{brick=parts, coordinates=none, window=16x16, receptive_field=8}",
        "%parts.tokens: tokens[4x4x32] = embed_folded(%parts.pixels) "
        "{brick=parts, first=3, count=3, coordinates=row_column, layout=16x16/8}",
        "%whole.pixels: tokens[1x256x24] = join_estimate(%parts.decoded, %x, %c_skip, %c_out, %c_in) "
        "{brick=whole, coordinates=none, source=16x16/8, target=32x32/2}",
        "%whole.tokens: tokens[1x256x32] = embed_folded(%whole.pixels) "
        "{brick=whole, first=0, count=6, coordinates=row_column, layout=32x32/2}",
    ]


def test_sampled_windows_keep_their_coordinates_and_others_fold():
    shape = stack(depths=(1, 1, 1), train_patches=(0.5, 1.0, 1.0))
    before = lower_training(shape, TrainSettings())
    gone, _ = changed_lines(before, applied(before, shape, [FoldConstants()]))
    assert {line.split(":")[0] for line in gone} == {"%parts.pixels", "%parts.tokens", "%whole.pixels", "%whole.tokens"}


def test_a_constant_that_is_too_large_is_not_made():
    sizes = [constant_bytes(brick) for brick in SMALL.bricks]
    assert sizes == [64 * 4 * 32 * 4, 4 * 4 * 32 * 4, 256 * 32 * 4]
    assert constant_bytes(replace(SMALL.bricks[0], coordinates=0)) == 4 * 32 * 4
    before = lower_sampling(SMALL, SMALL.ids)
    gone, _ = changed_lines(before, applied(before, SMALL, [FoldConstants(max_bytes=sizes[1])]))
    assert {line.split(":")[0] for line in gone} == {"%parts.pixels", "%parts.tokens"}


def test_the_constant_is_made_once_for_every_state_of_the_weights(monkeypatch):
    store, arguments = random_store(SMALL), batch(SMALL, 2)
    modules = [
        link(applied(lower_sampling(SMALL, c), SMALL, [FoldConstants()]), store) for c in (("parts",), SMALL.ids)
    ]
    plain = link(lower_sampling(SMALL, SMALL.ids), store)
    made = []
    for id in SMALL.ids:
        embed = store.embed(id)
        constant = embed.constant
        monkeypatch.setattr(embed, "constant", lambda cut, id=id, make=constant: made.append(id) or make(cut))
    with torch.no_grad():
        for module in (*modules, *modules):
            module(*arguments)
        assert sorted(made) == sorted(SMALL.ids)
        store.load({key: weight.detach() * 0.5 for key, weight in store.weights.items()})
        torch.testing.assert_close(modules[1](*arguments), plain(*arguments))
    assert sorted(made) == sorted(SMALL.ids * 2)


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_flow_through_the_constant_where_they_are_wanted(frozen):
    store, arguments = random_store(SMALL, dtype=torch.float64), batch(SMALL, 2, dtype=torch.float64)
    store.requires_grad_(not frozen)
    arguments[0].requires_grad_()
    found = []
    for passes in ([], [FoldConstants()]):
        module = link(applied(lower_sampling(SMALL, SMALL.ids), SMALL, passes), store)
        wanted = [arguments[0]] if frozen else [arguments[0], *store.weights.values()]
        found.append(torch.autograd.grad(module(*arguments).square().sum(), wanted))
    for plain, folded in zip(*found, strict=True):
        assert (plain - folded).abs().max() <= 1e-11 * max(1.0, float(plain.abs().max()))
