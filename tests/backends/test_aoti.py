"""The aoti backend: the store's weights under code compiled ahead of time, and nothing run that was not asked for.

One package of a small run is compiled for all tests; those that change files take a copy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import legoc_runtime
from legoc.__main__ import main
from legoc_runtime.backends import environment as environments
from legoc_runtime.backends.aoti import Aoti
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.contract.native import Environment
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.stack import BrickStack, TrainingStack
from legoc_runtime.store import WeightStore
from tests.cli.small_run import write_run
from tests.stacks import batch, random_store

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.compiler


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = write_run(tmp_path_factory.mktemp("aoti") / "run")
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert main(["build", str(directory), "--backend", "aoti", "--device", "cpu"]) == 0
    assert {path: path.read_bytes() for path in before} == before  # manifest, spec and checkpoints are as they were
    return directory


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def agree(stack: BrickStack, eager: BrickStack) -> None:
    with torch.no_grad():
        for configuration in eager.configurations:
            for count in (1, 3, 8):
                arguments = batch(eager.shape, count)
                ours = stack(*arguments, configuration=configuration)
                assert (ours - eager(*arguments, configuration=configuration)).abs().max() < 1e-5


def test_native_blocks_agree_and_see_every_change_of_the_weights(run):
    store = random_store(read_manifest(run).shape)
    manifest = read_manifest(run)
    stack = BrickStack(manifest, store, backend=Aoti(run, trust=True))
    eager = BrickStack(manifest, store)
    agree(stack, eager)
    # one entry for windows and parts, whose windows have 4 tokens, and one for the image-brick
    assert len(stack.backend.index.blocks) == 2

    optimizer = torch.optim.AdamW(store.parameters(), lr=0.1, fused=True)
    before = stack_estimate(stack)
    for weight in store.weights.values():
        weight.grad = torch.ones_like(weight)
    with store.updating():
        optimizer.step()
    assert (stack_estimate(stack) - before).abs().max() > 1e-3
    agree(stack, eager)
    store.load(random_store(manifest.shape, seed=9).weights)
    agree(stack, eager)
    # an address that moved is bound afresh, and what it left is not read again
    moved = store.weights["bricks.image.blocks.0.mlp.fc1.weight"]
    with store.updating():
        moved.data = moved.data.clone() * 2
    agree(stack, eager)


def stack_estimate(stack: BrickStack) -> torch.Tensor:
    with torch.no_grad():
        return stack(*batch(stack.shape, 2))


def test_the_runtime_alone_samples_a_build(run, tmp_path):
    """No compiler in the process: neither legoc nor the compiling half of PyTorch."""
    code = f"""
import sys
sys.modules["legoc"] = None  # importing it fails
import legoc_runtime, torch
from legoc_runtime.sampling.plan import make_plan
from legoc_runtime.sampling.run import SamplingRun

stack = legoc_runtime.load({str(run)!r}, backend="aoti", trust_native=True)
manifest = stack.manifest
plan = make_plan(manifest.shape, manifest.policy("halfway"), manifest.sample, range(3))
pictures = next(SamplingRun(stack, plan).batches(3)).pictures
assert not [name for name in sys.modules if name.startswith(("torch._inductor", "torch._dynamo"))]
eager = legoc_runtime.load({str(run)!r})
expected = next(SamplingRun(eager, plan).batches(3)).pictures
assert (pictures - expected).abs().max() < 1e-4
print(len(pictures), "pictures")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "runtime")}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.stdout == "3 pictures\n"


def test_nothing_native_runs_without_trust(run, copied, monkeypatch, capsys):
    with pytest.raises(UsageError, match="native code") as refused:
        legoc_runtime.load(run, backend="aoti")
    assert "--trust-native" in refused.value.help
    # not even looked at: the checksum of a file that will not run is nobody's business
    (copied / "native" / "aoti" / "blocks.pt2").unlink()
    assert main(["sample", str(copied), "--backend", "aoti"]) == 2
    assert "native code" in capsys.readouterr().err


def test_the_command_samples_with_native_code(run, capsys):
    arguments = ["--seeds", "0-1", "--backend", "aoti", "--device", "cpu"]
    assert main(["sample", str(run), *arguments, "--trust-native"]) == 0
    directory = Path(capsys.readouterr().out.strip())
    assert json.loads((directory / "samples.json").read_text())["how"]["backend"] == "aoti"


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("blocks.pt2", lambda old: old + b"x", "not the file that was built"),
        ("blocks.pt2", lambda old: None, "No such file"),
        ("index.json", lambda old: old.replace(b'"index_version": 1', b'"index_version": 2'), "reads version 1"),
        ("index.json", lambda old: old[:100], "not an index"),
        ("index.json", lambda old: old.replace(b"blocks.pt2", b"../blocks.pt2"), "outside its folder"),
        ("index.json", lambda old: json.dumps({**json.loads(old), "files": []}).encode(), "no checksum of blocks.pt2"),
    ],
)
def test_damaged_native_code_is_refused(copied, file, change, words):
    path = copied / "native" / "aoti" / file
    changed = change(path.read_bytes())
    path.unlink() if changed is None else path.write_bytes(changed)
    with pytest.raises(RunError, match=words):
        Aoti(copied, trust=True)


def test_a_build_without_native_code_says_how_to_make_it(tmp_path):
    directory = write_run(tmp_path / "run")
    with pytest.raises(UsageError, match="no native code for backend `aoti`") as refused:
        legoc_runtime.load(directory, backend="aoti", trust_native=True)
    assert f"legoc build {directory} --backend aoti" == refused.value.help
    with pytest.raises(UsageError, match="none was given"):
        choose_backend("aoti")


def test_another_machine_is_refused_in_words(run, monkeypatch):
    here = environments.environment(torch.device("cpu"))
    backend = Aoti(run, trust=True)
    assert backend.available() is None
    built = replace(here, torch="2.12.0", instructions=(*here.instructions, "avx1024"))
    backend.index = replace(backend.index, environment=built)
    reason = backend.available()
    assert f"torch is {here.torch} here and was 2.12.0" in reason
    assert "the processor here lacks avx1024" in reason
    monkeypatch.setattr("legoc_runtime.backends.aoti.environment", lambda device: replace(here, torch="3.0"))
    with pytest.raises(UsageError, match="torch is 3") as refused:
        choose_backend("aoti", build=run, trust_native=True)
    assert f"`legoc build {run} --backend aoti` compiles for this machine" in refused.value.help


def test_a_processor_may_know_more_than_the_code_uses():
    older = Environment("2.13", "Linux x86_64", "cpu", ("avx2",))
    newer = replace(older, instructions=("avx2", "avx512_f"))
    assert older.misfits(newer) == []
    assert newer.misfits(older) == ["the processor here lacks avx512_f"]


def test_what_the_package_was_not_compiled_for_is_refused_before_it_runs(run):
    """A package does not look at what it is given: it would read memory that is not there."""
    manifest = read_manifest(run)
    backend = Aoti(run, trust=True)
    store = random_store(manifest.shape)
    stack = BrickStack(manifest, store, backend=backend)
    with pytest.raises(UsageError, match="no gradients"):
        stack(*batch(manifest.shape, 2))
    with pytest.raises(UsageError, match="no gradients"):
        TrainingStack(manifest, store, backend=backend)
    with pytest.raises(UsageError, match="the package has no block_16x2_4_64_float64"):
        stack_estimate(BrickStack(manifest, WeightStore(manifest.shape, dtype=torch.float64), backend=backend))
    with pytest.raises(UsageError) as refused:
        stack_estimate(BrickStack(manifest, WeightStore(manifest.shape, dtype=torch.bfloat16), backend=backend))
    assert refused.value.help == f"legoc build {run} --backend aoti --device cpu --dtype bf16"
    block = next(module for module in linked(stack).modules() if type(module).__name__ == "NativeBlock")
    good = torch.zeros(2, 8, 4, 16), torch.zeros(2, 96)
    with torch.no_grad():
        assert block(*good).shape == good[0].shape
        for tokens, modulation in (
            (good[0][:, :, :3], good[1]),
            (good[0].double(), good[1]),
            (good[0], good[1][:1]),
            (good[0][:0], good[1][:0]),
        ):
            with pytest.raises(RunError, match="was called with"):
                block(tokens, modulation)
    with store.updating():
        block.mlp.fc1.weight.data = torch.zeros(64, 8)
    with torch.no_grad(), pytest.raises(RunError, match="other weights"):
        block(*good)


def linked(stack: BrickStack) -> torch.nn.Module:
    module = stack.backend.compile(stack.graph_module(stack.shape.ids))
    assert isinstance(module, torch.nn.Module)
    return module


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "RUN", "--backend", "inductor"], "a build holds nothing of backend `inductor`"),
        (["build", "RUN", "--backend", "tvm"], "no backend `tvm`"),
        (["build", "RUN", "--backend", "aoti", "--dtype", "int8"], "no dtype `int8`"),
        (["build", "RUN", "--backend", "aoti", "--steps", "3"], "is built already"),
        (["build", "RUN", "--device", "cpu"], "say what native code is for"),
        (["sample", "RUN", "--backend", "eager", "--trust-native"], "nothing to trust"),
    ],
)
def test_flags_that_make_no_sense_are_refused(run, arguments, words, capsys):
    assert main([str(run) if word == "RUN" else word for word in arguments]) == 2
    assert words in capsys.readouterr().err
