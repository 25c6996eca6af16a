"""The inductor backend: same results within rounding, nothing left behind in the store, one compilation a signature."""

from __future__ import annotations

import copy
import importlib
import shutil

import pytest
import torch
from torch._dynamo.utils import counters

from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.backends.inductor import Block, Inductor, OwnBlock
from legoc_runtime.backends.regions import Forms, block_signature, run_block
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.layers.avx512 import avx512_lack
from legoc_runtime.link.link import bricks_in, link
from tests.stacks import batch, random_store, stack

SMALL = stack(depths=(1, 1, 1))


@pytest.fixture
def graphs():
    """How many graphs were compiled since the last look."""
    torch._dynamo.reset()
    counters.clear()

    def since() -> int:
        found = counters["stats"]["unique_graphs"]
        counters.clear()
        return found

    return since


@pytest.mark.compiler
def test_compiled_modules_agree_and_leave_the_store_plain(graphs):
    shape = stack(depths=(1, 1, 2))
    store = random_store(shape)
    kinds = {name: type(module) for name, module in store.named_modules()}
    backend = Inductor(own_blocks=False)
    compiled_graphs = []
    for configuration in (shape.ids, ("parts", "whole"), ("windows",)):
        plain = link(lower_sampling(shape, configuration), store)
        compiled = backend.compile(plain)
        with torch.no_grad():
            for count in (2, 4, 3):
                arguments = batch(shape, count)
                assert (plain(*arguments) - compiled(*arguments)).abs().max() < 1e-5
        assert bricks_in(compiled) == configuration
        assert not any(isinstance(module, Block) for module in plain.modules())
        compiled_graphs.append(graphs())
    assert {name: type(module) for name, module in store.named_modules()} == kinds
    # windows and parts have one block signature (4 tokens, width 32), whole another, which has a single window;
    # the final layers are of two signatures, one of them with a single window too
    assert compiled_graphs == [2 + 3, 0, 0]


@pytest.mark.compiler
def test_a_block_is_compiled_once_for_all_sizes_and_once_for_a_single_image(graphs):
    shape = stack(windows=(8,), grid=(16, 32), receptive_fields=(2,), depths=(1,), widths=(32,), ids=("windows",))
    store = random_store(shape)
    plain = link(lower_sampling(shape, shape.ids), store)
    compiled = Inductor(own_blocks=False).compile(plain)
    found = {}
    with torch.no_grad():
        for count in (8, 3, 16, 32, 1, 5):  # 8 windows of 16 tokens, width 32: sizes that happen to be equal stay free
            arguments = batch(shape, count)
            assert (plain(*arguments) - compiled(*arguments)).abs().max() < 1e-5
            found[count] = graphs()
    assert found == {8: 2, 3: 0, 16: 0, 32: 0, 1: 2, 5: 0}  # a block and a final layer each time


@pytest.mark.compiler
@pytest.mark.skipif(avx512_lack() is not None, reason=str(avx512_lack()))
def test_blocks_of_our_own_compile_nothing_and_see_a_changed_weight(graphs):
    shape = stack(windows=(4,), grid=(8, 8), receptive_fields=(2,), depths=(2,), widths=(32,), ids=("windows",))
    plain = link(lower_sampling(shape, shape.ids), store := random_store(shape))
    own = Inductor().compile(plain)
    assert sum(isinstance(module, OwnBlock) for module in own.modules()) == 2
    arguments = batch(shape, 3)
    with torch.no_grad():
        assert (plain(*arguments) - own(*arguments)).abs().max() < 1e-5
        assert graphs() == 1  # the final layer
        with store.updating():
            store.weights["bricks.windows.blocks.0.mlp.fc1.weight"].mul_(2)
        assert (plain(*arguments) - own(*arguments)).abs().max() < 1e-5


def test_a_block_of_our_own_leaves_gradients_to_the_compiled_one():
    block = random_store(stack()).brick_windows.blocks[0]
    signature = block_signature(block.attn, block.mlp, Forms(fused=True))
    own = OwnBlock(Block(block.attn, block.mlp, run_block, signature, free=False))
    arguments = torch.randn(2, 3, 4, 32), torch.randn(2, 6 * 32)
    own(*arguments).square().sum().backward()
    assert all(weight.grad is not None for weight in own.parameters())
    arguments[0].requires_grad_()
    block.requires_grad_(False)
    (gradient,) = torch.autograd.grad(own(*arguments).sum(), arguments[0])
    assert gradient.abs().max() > 0


@pytest.mark.compiler
@pytest.mark.parametrize(
    "backend", [Inductor(attention="sdpa", gelu="call"), Inductor(regions=False)], ids=["forms", "whole"]
)
def test_what_the_ablation_turns_off_computes_the_same(backend):
    shape = stack(windows=(4,), grid=(8, 8), receptive_fields=(2,), depths=(1,), widths=(32,), ids=("windows",))
    plain = link(lower_sampling(shape, shape.ids), random_store(shape))
    compiled = backend.compile(plain)
    arguments = batch(shape, 2)
    with torch.no_grad():
        assert (plain(*arguments) - compiled(*arguments)).abs().max() < 1e-5


@pytest.mark.compiler
def test_compiled_training_has_the_same_gradients():
    shape = stack(windows=(4,), grid=(8, 8), receptive_fields=(2,), depths=(1,), widths=(32,), ids=("windows",))
    gradients = []
    for backend in ("eager", "inductor"):
        store = random_store(shape)
        linked = link(lower_training(shape, TrainSettings()), store)
        module = choose_backend(backend).backend.compile(linked, training=True)
        sum(estimate.square().mean() for estimate in module(*batch(shape, 2))).backward()
        gradients.append({key: copy.copy(weight.grad) for key, weight in store.weights.items()})
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, rtol=1e-4, atol=1e-5, msg=key)


def test_forms_go_by_the_rule_unless_they_are_given():
    store = random_store(stack())
    block = store.brick_windows.blocks[0]
    by_rule = block_signature(block.attn, block.mlp, Forms(fused=True))
    assert by_rule.name == "block_32x4_4_128_float32_products_sigmoid"
    given = block_signature(block.attn, block.mlp, Forms(fused=True, attention="sdpa", gelu="call"))
    assert (given.attention, given.gelu) == ("sdpa", "call")


def test_auto_takes_eager_and_says_why_without_a_compiler(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CXX", raising=False)
    choice = choose_backend("auto")
    assert choice.backend.name == "eager"
    assert "no C++ compiler" in choice.reason
    with pytest.raises(UsageError, match="no C\\+\\+ compiler"):
        choose_backend("inductor")


def test_a_compiler_that_the_environment_names_is_the_one_that_counts(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name if name in ("g++", "clang++") else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CXX", "clang++")
    assert Inductor().available() is None
    monkeypatch.setenv("CXX", "c++-99")
    assert Inductor().available() == "CXX names the C++ compiler `c++-99`, which is not there"


def test_triton_needs_a_c_compiler_too(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    found = {"g++"}
    monkeypatch.setattr(shutil, "which", lambda name: name if name in found else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Inductor().available() == "there is no C compiler (gcc or clang)"
    found.add("gcc")
    assert Inductor().available() is None


@pytest.mark.parametrize(("capability", "bits"), [("AVX512", 512), ("AVX2", 256), ("DEFAULT", None)])
def test_graphs_in_the_cache_are_told_apart_by_the_width_of_their_vectors(monkeypatch, capability, bits):
    """A final layer cached under ATEN_CPU_CAPABILITY=avx2 wrote past its end in the next process without it."""
    asked = []
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch, "compile", lambda function, **how: asked.append(how["options"]) or function)
    module = link(lower_sampling(stack(), ("whole",)), random_store(stack()))
    Inductor(own_blocks=False).compile(module)
    Inductor(regions=False).compile(module)
    assert len(asked) == 3  # a block, a final layer, a whole module
    assert all(options == (bits and {"cpp.simdlen": bits}) for options in asked)


def test_a_compiler_that_fails_is_said_in_words(monkeypatch):
    """It ended as an internal error of legoc."""
    exc = importlib.import_module("torch._inductor.exc")

    def fails(*_):
        raise exc.InductorError(exc.CppCompileError(["g++", "x.cpp"], "x.cpp: In f:\nx.cpp:3: error: no omp.h"), None)

    monkeypatch.setattr(torch, "compile", lambda function, **how: fails)
    for backend in (Inductor(own_blocks=False), Inductor(regions=False)):
        module = backend.compile(link(lower_sampling(SMALL, ("whole",)), random_store(SMALL)))
        with torch.no_grad(), pytest.raises(RunError, match=r"could not be compiled: x\.cpp:3: error: no omp") as told:
            module(*batch(SMALL, 2))
        assert "--backend eager" in told.value.help


def test_an_unknown_backend_is_refused():
    with pytest.raises(UsageError, match="no backend `tvm`"):
        choose_backend("tvm")
