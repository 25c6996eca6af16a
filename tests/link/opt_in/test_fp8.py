"""Bricks in 8 bits: within tolerance, following the store, leaving everything else alone, refused in words."""

from __future__ import annotations

import pytest
import torch

from legoc.__main__ import main
from legoc.lower.program import lower_sampling
from legoc_runtime.backends.eager import Eager
from legoc_runtime.backends.inductor import Inductor
from legoc_runtime.errors import UsageError
from legoc_runtime.link.link import bricks_in, link
from legoc_runtime.link.opt_in.fp8 import Fp8, Fp8Linear, Fp8Products, large_bricks, parse_fp8
from legoc_runtime.stack import BrickStack
from tests.cli.small_run import write_run
from tests.stack.conditioned import brick_stack
from tests.stacks import batch, random_store, stack

SHAPE = stack()
TOP = Fp8(("whole",), emulated=True)


def relative(result: torch.Tensor, exact: torch.Tensor) -> float:
    return float((result - exact).norm() / exact.norm())


def test_an_estimate_is_off_by_little_and_by_something():
    store = random_store(SHAPE)
    plain = link(lower_sampling(SHAPE, SHAPE.ids), store)
    arguments = batch(SHAPE, 2)
    with torch.no_grad():
        exact, result = plain(*arguments), Fp8Products(store, TOP).apply(plain)(*arguments)
    assert 1e-4 < relative(result, exact) < 0.05


def test_other_bricks_keep_their_bits_and_the_store_its_modules():
    store = random_store(SHAPE)
    kinds = {name: type(module) for name, module in store.named_modules()}
    plain = link(lower_sampling(SHAPE, ("windows", "parts")), store)
    arguments = batch(SHAPE, 2)
    products = Fp8Products(store, TOP)
    with torch.no_grad():
        assert torch.equal(products.apply(plain)(*arguments), plain(*arguments))
    whole = products.apply(link(lower_sampling(SHAPE, SHAPE.ids), store))
    assert bricks_in(whole) == SHAPE.ids
    assert {name: type(module) for name, module in store.named_modules()} == kinds


def test_the_weights_follow_the_store_in_place():
    store = random_store(SHAPE)
    module = Fp8Products(store, TOP).apply(link(lower_sampling(SHAPE, ("whole",)), store))
    arguments = batch(SHAPE, 1)
    with torch.no_grad():
        before = module(*arguments)
        addresses = [layer.weight.data_ptr() for layer in module.modules() if isinstance(layer, Fp8Linear)]
        with store.updating():
            for weight in store.weights.values():
                weight.mul_(1.5)
        after = module(*arguments)
        fresh = Fp8Products(store, TOP).apply(link(lower_sampling(SHAPE, ("whole",)), store))(*arguments)
    assert not torch.equal(before, after)
    assert torch.equal(after, fresh)
    assert addresses == [layer.weight.data_ptr() for layer in module.modules() if isinstance(layer, Fp8Linear)]


def test_configurations_share_one_set_of_8_bit_weights():
    store = random_store(SHAPE)
    products = Fp8Products(store, TOP)
    sets = [
        {id(module) for module in products.apply(link(lower_sampling(SHAPE, ids), store)).modules()
         if isinstance(module, Fp8Linear)}
        for ids in (SHAPE.ids, ("parts", "whole"))
    ]  # fmt: skip
    assert len(sets[0]) == 4 * 2  # four products a block, two blocks
    assert sets[0] == sets[1]
    assert len(list(store.parameters())) == len(store.weights)


@pytest.mark.compiler
def test_inductor_compiles_blocks_in_8_bits_apart_from_others():
    store = random_store(SHAPE)
    linked = link(lower_sampling(SHAPE, ("whole",)), store)
    module = Fp8Products(store, TOP).apply(linked)
    backend = Inductor()
    arguments = batch(SHAPE, 2)
    with torch.no_grad():
        assert relative(backend.compile(module)(*arguments), module(*arguments)) < 1e-2
        assert (backend.compile(linked)(*arguments) - linked(*arguments)).abs().max() < 1e-5


def test_it_is_refused_where_the_hardware_is_missing_and_for_odd_widths():
    store = random_store(SHAPE)
    with pytest.raises(UsageError, match="not a cpu device"):
        Fp8Products(store, Fp8(("whole",)))
    odd = stack(widths=(32, 32, 40))
    store = random_store(odd)
    with pytest.raises(UsageError, match="multiples of 16, not 40 and 120"):
        Fp8Products(store, TOP).apply(link(lower_sampling(odd, odd.ids), store))


def test_a_stack_samples_in_8_bits_and_native_backends_refuse():
    plain = brick_stack(SHAPE)
    eight = BrickStack(plain.manifest, plain.store, fp8=TOP)
    arguments, lower = batch(SHAPE, 2), ("windows", "parts")
    with torch.no_grad():
        assert 1e-4 < relative(eight(*arguments), plain(*arguments)) < 0.05
        assert torch.equal(eight(*arguments, configuration=lower), plain(*arguments, configuration=lower))

    class Native(Eager):
        name = "aoti"

    with pytest.raises(UsageError, match="backend `aoti` has no 8-bit products"):
        BrickStack(plain.manifest, plain.store, backend=Native(), fp8=TOP)


def test_the_command_refuses_it_without_the_hardware(tmp_path, capsys):
    run = write_run(tmp_path / "run")
    assert main(["sample", str(run), "--fp8", "image", "--device", "cpu", "--backend", "eager"]) == 2
    assert "not a cpu device" in capsys.readouterr().err
    assert not (run / "samples").exists()


def test_bricks_are_named_or_chosen_by_size():
    assert parse_fp8("parts,whole", SHAPE) == Fp8(("parts", "whole"))
    with pytest.raises(UsageError, match="there is no brick `top`"):
        parse_fp8("top", SHAPE)
    with pytest.raises(UsageError, match="no brick is as wide as 1024"):
        parse_fp8("large", SHAPE)
    wide = stack(widths=(1152, 1152, 1152), heads=16)
    assert large_bricks(wide) == ("windows", "whole")  # `parts` reads 16 tokens an image
