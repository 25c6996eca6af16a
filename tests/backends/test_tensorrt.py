"""The tensorrt backend against a stand-in made from the signatures of the real package, which was never run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from legoc.native import NativeTarget, build_native
from legoc_runtime.backends import tensorrt
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.backends.tensorrt import BrickEngine, TensorRT
from legoc_runtime.contract.manifest import Manifest, read_manifest
from legoc_runtime.contract.native import Environment
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.stack import BrickStack, TrainingStack
from legoc_runtime.store import WeightStore
from tests.backends.stand_in_tensorrt import StandIn
from tests.cli.small_run import write_run
from tests.stacks import batch, random_store

FULL = ("windows", "parts", "image")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("tensorrt") / "run")


@pytest.fixture
def manifest(run: Path) -> Manifest:
    return read_manifest(run)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    stand_in.install(monkeypatch)
    return stand_in


def both(manifest: Manifest, backend: TensorRT) -> tuple[BrickStack, BrickStack]:
    store = random_store(manifest.shape)
    return BrickStack(manifest, store, backend=backend), BrickStack(manifest, store)


def difference(stack: BrickStack, eager: BrickStack, configuration=FULL, count: int = 2) -> float:
    arguments = batch(eager.shape, count)
    with torch.no_grad():
        ours = stack(*arguments, configuration=configuration)
        return float((ours - eager(*arguments, configuration=configuration)).abs().max())


def test_one_engine_a_brick_serves_every_configuration_and_batch(manifest, stand_in):
    stack, eager = both(manifest, TensorRT())
    for configuration in eager.configurations:
        assert difference(stack, eager, configuration) < 1e-5
    assert stand_in.names() == ["dynamo.compile"] * 3
    for count in (1, 5, tensorrt.MOST_ROWS + 3):
        assert difference(stack, eager, count=count) < 1e-5
    assert stand_in.names() == ["dynamo.compile"] * 3
    settings = stand_in.calls[0][1]
    assert settings["immutable_weights"] is False
    assert settings["min_block_size"] == 1
    tokens, *modulations = settings["arg_inputs"]
    assert tokens["max_shape"] == (tensorrt.MOST_ROWS, 8, 4, tokens["max_shape"][-1])
    assert len(modulations) == 2  # of the one block, and of the final layer


def test_a_change_of_the_store_refits_the_engines(manifest, stand_in):
    stack, eager = both(manifest, TensorRT())
    difference(stack, eager)
    stack.store.load(random_store(manifest.shape, seed=5).weights)
    assert difference(stack, eager) < 1e-5
    assert stand_in.names()[3:] == ["dynamo.refit_module_weights"] * 3
    difference(stack, eager)
    assert len(stand_in.calls) == 6


def test_a_refit_that_loses_biases_is_noticed_and_built_afresh(manifest, stand_in):
    stack, eager = both(manifest, TensorRT())
    difference(stack, eager)
    stand_in.lose_biases = True
    stack.store.load(random_store(manifest.shape, seed=5).weights)
    assert difference(stack, eager) < 1e-5
    assert stand_in.names()[3:5] == ["dynamo.refit_module_weights", "dynamo.compile"]


def test_an_engine_that_is_wrong_is_never_used(manifest, stand_in):
    stand_in.inexact = 1.1
    stack, eager = both(manifest, TensorRT())
    with pytest.raises(RunError, match="engine of brick `windows` differs from its modules"):
        difference(stack, eager)


def test_the_stand_in_refuses_what_the_real_package_does_not_take(stand_in):
    for wrong in ({"use_explicit_typing": True}, {"enabled_precisions": {torch.float16}}, {"debug": True}):
        with pytest.raises(TypeError, match="unexpected keyword"):
            stand_in.bound("dynamo.compile", object(), **wrong)
    with pytest.raises(TypeError, match="Input has no"):
        stand_in.input(least_shape=(1,))
    assert stand_in.record["version"] == "2.13.0"


def test_engines_of_a_build_are_found_again_by_those_who_trust_it(run, manifest, stand_in, monkeypatch):
    here = Environment("2.13.0", "Linux x86_64", "cuda sm_90", (), ("tensorrt 11.0", "torch-tensorrt 2.13.0"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("legoc.native.environment", lambda device, packages: here)
    monkeypatch.setattr("legoc_runtime.backends.tensorrt.environment", lambda device, packages: here)
    monkeypatch.setattr("legoc.native.check_native", lambda target: None)
    folder = build_native(manifest, run, NativeTarget("tensorrt", torch.device("cpu"), torch.float32))
    index = json.loads((folder / "index.json").read_text())
    assert [file["name"].partition("-")[0] for file in index["files"]] == ["image", "parts", "windows"]
    assert all(file["name"].endswith("/blob.bin") for file in index["files"])

    choice = choose_backend("tensorrt", build=run)
    assert "engines are built now" in choice.reason
    stand_in.calls.clear()
    backend = choose_backend("tensorrt", build=run, trust_native=True).backend
    assert difference(*both(manifest, backend)) < 1e-5
    name, settings = stand_in.calls[0]
    assert (name, settings["reuse_cached_engines"], settings["cache_built_engines"]) == ("dynamo.compile", True, False)
    # the folder of a brick is found by what the brick is
    assert {Path(call["engine_cache_dir"]).relative_to(folder).as_posix() for _, call in stand_in.calls} == {
        file["name"].rpartition("/")[0] for file in index["files"]
    }
    (folder / index["files"][0]["name"]).write_bytes(b"another engine")
    with pytest.raises(RunError, match="not the file that was built"):
        choose_backend("tensorrt", build=run, trust_native=True)


def test_reasons_are_honest(monkeypatch):
    backend = TensorRT()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert backend.available() == "there is no CUDA device"
    with pytest.raises(UsageError, match="no CUDA device"):
        choose_backend("tensorrt")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: None)
    assert "not installed" in backend.available()
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: object())

    def broken(name: str):
        raise Exception("import error when try to import _TensorRTProxyModule, got error Could not find libnvinfer")

    monkeypatch.setattr(tensorrt, "import_module", broken)
    assert "importing torch_tensorrt raised Exception: import error" in backend.available()


def test_what_engines_cannot_do_is_refused(manifest, stand_in):
    with pytest.raises(UsageError, match="no gradients"):
        TrainingStack(manifest, random_store(manifest.shape), backend=TensorRT())
    stack, _ = both(manifest, TensorRT())
    with pytest.raises(UsageError, match="no gradients"):
        stack(*batch(manifest.shape, 2))
    double = BrickStack(manifest, WeightStore(manifest.shape, dtype=torch.float64), backend=TensorRT())
    with pytest.raises(UsageError, match="does not take torch"), torch.no_grad():
        double(*batch(manifest.shape, 2))


def test_the_store_does_not_learn_of_engines(manifest, stand_in):
    stack, eager = both(manifest, TensorRT())
    before = len(list(stack.store.parameters()))
    difference(stack, eager)
    assert len(list(stack.store.parameters())) == before
    assert not any(isinstance(module, BrickEngine) for module in stack.store.modules())
    assert "torch_tensorrt" in sys.modules  # the stand-in, which only a call brought in
