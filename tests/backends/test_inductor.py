"""The inductor backend: same results within rounding, nothing left behind in the store, one compilation a signature."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch

from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.backends.inductor import Inductor, Region
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.errors import UsageError
from legoc_runtime.link.link import bricks_in, link
from tests.stacks import batch, random_store, stack


@pytest.mark.compiler
def test_compiled_modules_agree_and_leave_the_store_plain():
    shape = stack()
    store = random_store(shape)
    kinds = {name: type(module) for name, module in store.named_modules()}
    backend = Inductor()
    arguments = batch(shape, 2)
    for configuration in (shape.ids, ("parts", "whole"), ("windows",)):
        plain = link(lower_sampling(shape, configuration), store)
        compiled = backend.compile(plain)
        with torch.no_grad():
            assert (plain(*arguments) - compiled(*arguments)).abs().max() < 1e-5
        assert bricks_in(compiled) == configuration
        assert not any(isinstance(module, Region) for module in plain.modules())
    assert {name: type(module) for name, module in store.named_modules()} == kinds
    # windows and parts have one signature (4 tokens, width 32), whole another: two in all
    assert len(backend._compiled) == 2


@pytest.mark.compiler
def test_compiled_training_has_the_same_gradients():
    shape = stack(depths=(1, 1, 1))
    gradients = []
    for backend in ("eager", "inductor"):
        store = random_store(shape)
        module = choose_backend(backend).backend.compile(link(lower_training(shape, TrainSettings()), store))
        sum(estimate.square().mean() for estimate in module(*batch(shape, 2))).backward()
        gradients.append({key: copy.copy(weight.grad) for key, weight in store.weights.items()})
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, rtol=1e-4, atol=1e-5, msg=key)


def test_auto_takes_eager_and_says_why_without_a_compiler(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    choice = choose_backend("auto")
    assert choice.backend.name == "eager"
    assert "no C++ compiler" in choice.reason
    with pytest.raises(UsageError, match="no C\\+\\+ compiler"):
        choose_backend("inductor")


def test_an_unknown_backend_is_refused():
    with pytest.raises(UsageError, match="no backend `tvm`"):
        choose_backend("tvm")
