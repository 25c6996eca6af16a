"""`join-modulations` on the text of programs, and where its weights lie."""

from __future__ import annotations

import copy

import pytest
import torch

from legoc.lower.passes.join_modulations import JoinModulations
from legoc.lower.program import lower_sampling
from legoc_runtime.contract.program_text import to_text
from legoc_runtime.layers.derived import JointModulate
from legoc_runtime.link.link import link
from tests.lower.passes.cases import SMALL, applied
from tests.stacks import batch, random_store, stack

SHAPE = stack(depths=(1, 2, 1))


def joined(configuration, store):
    return link(applied(lower_sampling(SHAPE, configuration), SHAPE, [JoinModulations()]), store)


def products(module):
    return [m for _, m in module.named_modules() if isinstance(m, JointModulate)]


def test_neighbours_share_one_product():
    text = to_text(applied(lower_sampling(SHAPE, ("windows", "parts")), SHAPE, [JoinModulations()]))
    assert (
        "  %windows+parts.modulations: vector[704] = modulate_together(%condition) {bricks=windows+parts}\n"
        "  %windows.0.modulation: vector[192], %windows.final.modulation: vector[64] = "
        "split_modulations(%windows+parts.modulations) {brick=windows, start=0}\n"
        "  %parts.0.modulation: vector[192], %parts.1.modulation: vector[192], %parts.final.modulation: vector[64] = "
        "split_modulations(%windows+parts.modulations) {brick=parts, start=256}\n"
    ) in text
    assert " modulate(" not in text


def test_a_brick_left_out_in_between_divides_the_product():
    text = to_text(applied(lower_sampling(SMALL, ("windows", "whole")), SMALL, [JoinModulations()]))
    assert [line.split(" = ")[1] for line in text.splitlines() if "modulate_together" in line] == [
        "modulate_together(%condition) {bricks=windows}",
        "modulate_together(%condition) {bricks=whole}",
    ]


def test_its_weights_are_a_view_of_the_store():
    store = random_store(SHAPE)
    module = joined(SHAPE.ids, store)
    before = module(*batch(SHAPE, 2)).detach()
    with torch.no_grad():
        module(*batch(SHAPE, 2))
        held = store.derived("modulation of windows_AND_parts_AND_whole.weight", lambda: pytest.fail("not kept"))
        assert held.data_ptr() == store.weights["bricks.windows.blocks.0.adaln.weight"].data_ptr()
        assert held.untyped_storage().nbytes() == held.nbytes
        torch.testing.assert_close(module(*batch(SHAPE, 2)), before)


@torch.no_grad()
def test_products_of_different_bricks_never_share_a_name():
    """Underscores are common in ids: `a` and `b` together are not the brick `a_b`, in one module or over one store."""
    ids = ("a", "b", "c", "a_b")
    sizes = {"receptive_fields": (2,) * 4, "depths": (1,) * 4, "widths": (16, 16, 16, 32), "train_patches": (1.0,) * 4}
    shape = stack((4,) * 4, grid=(8, 8), heads=2, ids=ids, **sizes)
    store = random_store(shape, dtype=torch.float64)
    arguments = batch(shape, 2, dtype=torch.float64)
    for configuration in (("a_b",), ("a", "b"), ("a", "b", "a_b")):
        plain = link(lower_sampling(shape, configuration), store)(*arguments)
        ours = link(applied(lower_sampling(shape, configuration), shape, [JoinModulations()]), store)(*arguments)
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-12)


def test_blocks_get_contiguous_modulations():
    """So that one compiled block serves all of them."""
    program = applied(lower_sampling(SHAPE, SHAPE.ids), SHAPE, [JoinModulations()])
    seen = []

    class Interpreter(torch.fx.Interpreter):
        def call_module(self, target, args, kwargs):
            if str(target).startswith("brick_") and len(args) > 1:
                seen.append(args[1].is_contiguous() and args[1].stride() == (args[1].shape[1], 1))
            return super().call_module(target, args, kwargs)

    Interpreter(link(program, random_store(SHAPE))).run(*batch(SHAPE, 3))
    assert seen == [True] * (2 * 4 + 3)


@pytest.mark.parametrize("move", ["assigned", "moved", "copied"])
def test_weights_that_do_not_lie_side_by_side_are_copied_together_and_follow_updates(move):
    store = random_store(SHAPE)
    plain = link(lower_sampling(SHAPE, SHAPE.ids), store)
    match move:
        case "assigned":
            for weight in store.weights.values():
                weight.data = weight.data.clone()
        case "moved":
            store.to(torch.float64).to(torch.float32)
        case "copied":
            store = copy.deepcopy(store)
    module = joined(SHAPE.ids, store)
    with torch.no_grad():
        torch.testing.assert_close(module(*batch(SHAPE, 2)), plain(*batch(SHAPE, 2)))
    optimizer = torch.optim.AdamW(store.parameters(), lr=1e-2, fused=True)
    module(*batch(SHAPE, 2)).square().sum().backward()
    with store.updating():
        optimizer.step()
    with torch.no_grad():
        fresh = link(lower_sampling(SHAPE, SHAPE.ids), store)
        torch.testing.assert_close(module(*batch(SHAPE, 2)), fresh(*batch(SHAPE, 2)))


def test_moving_a_store_after_a_product_ran_is_noticed():
    store = random_store(SHAPE)
    module = joined(SHAPE.ids, store)
    with torch.no_grad():
        before = module(*batch(SHAPE, 2))
        store.to(torch.float64).to(torch.float32)
        for weight in store.weights.values():
            weight.zero_()
        assert not torch.equal(module(*batch(SHAPE, 2)), before)


@pytest.mark.parametrize("configuration", [SHAPE.ids, ("windows", "whole")])
def test_gradients_reach_every_weight(configuration):
    store, arguments = random_store(SHAPE, dtype=torch.float64), batch(SHAPE, 2, dtype=torch.float64)
    weights = [weight for key, weight in store.weights.items() if "adaln" in key]
    found = []
    for passes in ([], [JoinModulations()]):
        module = link(applied(lower_sampling(SHAPE, configuration), SHAPE, passes), store)
        found.append(torch.autograd.grad(module(*arguments).square().sum(), weights, allow_unused=True))
    for plain, ours in zip(*found, strict=True):
        assert (plain is None) == (ours is None)
        assert plain is None or (plain - ours).abs().max() < 1e-11
