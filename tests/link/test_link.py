"""Linked modules against the plain stack, and what the public code gets wrong (named after its faults)."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.link.link import bricks_in, link
from legoc_runtime.store import WeightStore
from tests.plain_stack import plain_estimate
from tests.stacks import batch, random_store, stack


def assert_equals_plain(shape, configuration, count=2):
    store = random_store(shape, dtype=torch.float64)
    arguments = batch(shape, count, dtype=torch.float64)
    label = arguments[2] if shape.classes is not None else None
    with torch.no_grad():
        ours = link(lower_sampling(shape, configuration), store)(*arguments)
        plain = plain_estimate(shape, dict(store.weights), arguments[0], arguments[1], label, configuration)
    assert (ours - plain).abs().max() < 1e-12


CONFIGURATIONS = [c for n in (1, 2, 3) for c in combinations(("windows", "parts", "whole"), n)]


@pytest.mark.parametrize("carry", ["x0", "raw"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids="+".join)
def test_b4_any_brick_can_be_left_out(configuration, carry):
    """B4: the public code can cut off a tail only. Here bottom, middle and top can go, in any combination."""
    assert_equals_plain(stack(carry=carry), configuration)


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_b6_grids_and_windows_of_any_shape(data):
    """B6: the public code takes square grids and windows only."""
    window = (data.draw(st.sampled_from([2, 4, 6])), data.draw(st.sampled_from([2, 4, 8])))
    grid = (window[0] * data.draw(st.integers(1, 3)), window[1] * data.draw(st.integers(1, 3)))
    shape = stack(
        (window, grid),
        grid=grid,
        receptive_fields=(2, 1 if data.draw(st.booleans()) else 2),
        depths=(1, 1),
        widths=(8, 8),
    )
    assert_equals_plain(shape, ("windows", "parts"), count=1)


def test_b7_coordinates_vary_along_the_axis_that_names_them():
    """B7: the public code's two coordinate channels carry each other's name."""
    shape = stack(grid=(4, 8), windows=((4, 8),), receptive_fields=(2,), depths=(1,), widths=(8,))
    rows, columns = WeightStore(shape).coordinates.table
    assert torch.equal(rows, rows[:, :1].expand(4, 8))
    torch.testing.assert_close(rows[:, 0], torch.tensor([-1, -1 / 3, 1 / 3, 1]))
    assert torch.equal(columns, columns[:1].expand(4, 8))


def test_b13_modulation_has_one_row_an_image():
    """B13: the public code computes adaLN once a window: 64 rows an image for the 4x4 windows of a 32x32 grid."""
    shape = stack()
    store = random_store(shape)
    rows = []
    hooks = [
        module.register_forward_pre_hook(lambda module, arguments: rows.append(arguments[0].shape[0]))
        for name, module in store.named_modules()
        if name.endswith("adaln")
    ]
    link(lower_sampling(shape, shape.ids), store)(*batch(shape, 3))
    for hook in hooks:
        hook.remove()
    assert rows == [3] * (sum(brick.depth + 1 for brick in shape.bricks))


def test_offset_windows():
    shape = stack()
    bricks = [replace(brick, offset=(brick.window[0] // 2, 1)) for brick in shape.bricks[:2]]
    assert_equals_plain(replace(shape, bricks=(*bricks, shape.bricks[2])), shape.ids, count=1)


def test_b14_bricks_of_different_widths():
    """B14: the public code gives every brick the width of the first."""
    assert_equals_plain(stack(widths=(16, 32, 24)), ("windows", "parts", "whole"))


@pytest.mark.parametrize("classes", [5, None])
def test_the_time_scale_multiplies_c_noise_before_its_sinusoid(classes):
    shape = replace(stack(classes=classes), time_scale=2.5)
    assert_equals_plain(shape, shape.ids, count=1)
    store, arguments = random_store(shape), batch(shape, 1)
    with torch.no_grad():
        ours = link(lower_sampling(shape, shape.ids), store)(*arguments)
        unscaled = link(lower_sampling(replace(shape, time_scale=1.0), shape.ids), store)(*arguments)
    assert not torch.equal(ours, unscaled)


def test_b16_unconditional_stacks():
    """B16: the public code's guidance and labels crash on a model without classes."""
    shape = stack(classes=None)
    assert_equals_plain(shape, shape.ids)
    assert [name for name, _ in lower_sampling(shape, shape.ids).inputs] == ["x", "sigma"]


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids="+".join)
def test_b1_a_skipped_brick_is_not_called(configuration):
    """B1: the public code's skip flag runs every brick."""
    shape = stack()
    store = random_store(shape)
    called = set()
    for id in shape.ids:
        for module in store.get_submodule(f"brick_{id}").modules():
            module.register_forward_pre_hook(lambda module, arguments, id=id: called.add(id))
    module = link(lower_sampling(shape, configuration), store)
    module(*batch(shape, 1))
    assert called == set(configuration)
    assert bricks_in(module) == configuration


def test_modules_share_the_stores_parameters():
    shape = stack()
    store = random_store(shape)
    modules = [link(lower_sampling(shape, c), store) for c in CONFIGURATIONS]
    modules.append(link(lower_training(shape, TrainSettings()), store))
    pointers = {weight.data_ptr() for weight in store.weights.values()}
    assert {p.data_ptr() for module in modules for p in module.parameters()} <= pointers
    assert sum(p.numel() for p in store.parameters()) == sum(w.numel() for w in store.weights.values())


def test_an_optimizer_step_and_a_swap_are_seen_by_every_module():
    shape = stack()
    store = random_store(shape)
    modules = [link(lower_sampling(shape, c), store) for c in (("windows",), shape.ids)]
    arguments = batch(shape, 1)
    before = [module(*arguments).detach() for module in modules]
    optimizer = torch.optim.AdamW(store.parameters(), lr=1e-2, fused=True)
    modules[1](*arguments).square().mean().backward()
    generation = store.generation
    with store.updating():
        optimizer.step()
    assert store.generation == generation + 1
    stepped = [module(*arguments).detach() for module in modules]
    assert all(not torch.equal(a, b) for a, b in zip(before, stepped, strict=True))
    store.load({key: weight.detach().clone() * 0.5 for key, weight in store.weights.items()})
    assert all(not torch.equal(a, module(*arguments)) for a, module in zip(stepped, modules, strict=True))


@pytest.mark.parametrize("carry", ["x0", "raw"])
@pytest.mark.parametrize("fill", ["noisy", "x0", "zeros"])
def test_training_estimates_with_sampled_windows(fill, carry):
    """A sampled window has the estimate that the whole image gives it (bottom brick); others stand at the fill."""
    shape = stack(train_patches=(0.5, 0.75, 1.0), carry=carry)
    store = random_store(shape, dtype=torch.float64)
    x, sigma, label = batch(shape, 2, dtype=torch.float64)
    clean = torch.randn_like(x)
    index = {
        brick.id: torch.stack([torch.randperm(brick.windows)[: brick.windows_trained].sort().values for _ in range(2)])
        for brick in shape.bricks[:2]
    }
    program = lower_training(shape, TrainSettings(fill=fill))
    given = {"x": x, "sigma": sigma, "label": label, "clean": clean} | {f"{k}.windows": v for k, v in index.items()}
    module = link(program, store)
    results = module(*(given[name] for name, _ in program.inputs))
    named = dict(zip((name for name, _ in program.outputs), results, strict=True))
    full = link(lower_sampling(shape, ("windows",)), store)(x, sigma, label)
    mask = named["mask.windows"].bool().expand_as(x)
    assert mask.float().mean() == 0.5
    assert torch.equal(named["estimate.windows"][mask], full[mask]) or torch.allclose(
        named["estimate.windows"][mask], full[mask], atol=1e-12
    )
    c_skip = 0.25 / (sigma**2 + 0.25)
    noisy = c_skip[:, None, None, None] * x
    assert torch.allclose(named["estimate.windows"][~mask], noisy[~mask])
    handed_on = _second_input(module, given, program)
    stands = {"x0": clean, "noisy": noisy, "zeros": torch.zeros_like(x)}[fill]
    if carry == "raw":
        # the network output whose estimate is that
        c_out = (sigma * 0.5 / (sigma**2 + 0.25).sqrt())[:, None, None, None]
        stands = (stands - noisy) / c_out
    assert torch.allclose(handed_on[~mask], stands[~mask], atol=1e-12)


def _second_input(module, given, program):
    """What the second brick reads as the estimate from below."""
    seen = {}

    class Interpreter(torch.fx.Interpreter):
        def call_function(self, target, args, kwargs):
            if getattr(target, "__name__", "") == "partition" and len(args[0]) == 2:
                seen.setdefault("below", args[0][0])
            return super().call_function(target, args, kwargs)

    Interpreter(module).run(*(given[name] for name, _ in program.inputs))
    return seen["below"]


@pytest.mark.parametrize(("gradient", "reaches"), [("through", True), ("detached", False)])
def test_gradient_reaches_the_bricks_below_only_when_it_is_let(gradient, reaches):
    shape = stack()
    store = random_store(shape)
    program = lower_training(shape, TrainSettings(gradient=gradient))
    results = dict(zip((n for n, _ in program.outputs), link(program, store)(*batch(shape, 2)), strict=True))
    results["estimate.whole"].square().mean().backward()
    below = store.weights["bricks.windows.embed.weight"].grad
    assert (below is not None and bool(below.any())) is reaches


def test_linking_on_meta_allocates_nothing():
    shape = stack()
    store = WeightStore(shape, device="meta")
    module = link(lower_sampling(shape, shape.ids), store)
    assert all(p.is_meta for p in module.parameters())
