"""Loading: which weights are read, which are not, and what is refused for it."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest
import torch

from legoc_runtime import RunError, UsageError, load
from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.checkpoint.layout import read_state, write_state
from legoc_runtime.contract.manifest import read_manifest
from legoc_runtime.contract.stack import weight_shapes
from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import WeightStore
from tests.cli.small_run import spec_text, write_run
from tests.stack.conditioned import SMALL

X = torch.randn(2, 3, 16, 8, generator=torch.Generator().manual_seed(0))
SIGMA, LABELS = torch.tensor([0.5, 2.0]), torch.tensor([0, 4])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", spec_text())


def weights_of(run: Path) -> Path:
    return next((run / "checkpoints").iterdir()) / "ema-0.999.safetensors"


def spoil(path: Path, key: str) -> None:
    """Change one byte of a tensor in a file."""
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    begin, _ = json.loads(content[8 : 8 + length])[key]["data_offsets"]
    content[8 + length + begin] ^= 1
    path.write_bytes(content)


@torch.no_grad()
def test_a_policy_loads_the_bricks_that_it_runs_and_they_run_as_in_the_whole_stack(run: Path):
    whole, part = load(run), load(run, policy="only_image")
    assert part.store.bricks == ("image",)
    assert part.configurations == (("image",),)
    shape = part.shape
    counts = {key: prod(sizes) for key, sizes in weight_shapes(shape).items()}
    idle = sum(count for key, count in counts.items() if key.startswith(("bricks.windows.", "bricks.parts.")))
    assert sum(weight.numel() for weight in part.store.parameters()) == sum(counts.values()) - idle
    assert part.unread_bytes == 4 * idle
    assert whole.unread_bytes == 0
    estimate = part(X, SIGMA, LABELS, configuration=("image",))
    assert torch.equal(estimate, whole(X, SIGMA, LABELS, configuration=("image",)))


def test_several_policies_load_what_any_of_them_runs(run: Path):
    assert load(run, policy=("only_image", "late")).store.bricks == ("windows", "parts", "image")
    assert load(run, bricks=["image", "windows"]).store.bricks == ("windows", "image")


def test_what_was_not_asked_for_is_not_read(run: Path):
    """A byte of a brick that stays on the disk may be anything; one of a brick that is read must be right."""
    spoil(weights_of(run), "bricks.parts.blocks.0.mlp.fc1.weight")
    with pytest.raises(RunError, match="does not have the checksum"):
        load(run)
    load(run, policy="only_image")
    with pytest.raises(RunError, match=r"damaged: bricks\.parts\.blocks\.0\.mlp\.fc1\.weight"):
        load(run, bricks=["parts"])
    spoil(weights_of(run), "conditioning.time.fc1.weight")
    with pytest.raises(RunError, match=r"damaged: conditioning\.time\.fc1\.weight"):
        load(run, policy="only_image")


def test_a_checkpoint_of_an_older_legoc_is_checked_whole(run: Path):
    checkpoint = weights_of(run).parent
    state = read_state(checkpoint)
    del state["tensors"], state["version"]
    write_state(checkpoint, state)
    assert load(run, policy="only_image").store.bricks == ("image",)
    spoil(weights_of(run), "bricks.parts.embed.bias")
    with pytest.raises(RunError, match="does not have the checksum"):
        load(run, policy="only_image")


def test_a_file_outside_its_checkpoint_has_no_checksum(run: Path, tmp_path: Path):
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(weights_of(run).read_bytes())
    assert load(run, weights=alone, policy="only_image").unread_bytes > 0


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"policy": "halfwy"}, "no skip policy"),
        ({"bricks": ["ghost"]}, "no brick `ghost`"),
        ({"bricks": []}, "without bricks"),
        ({"policy": "none", "bricks": ["image"]}, "both say what to load"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Path, asked: dict[str, object], words: str):
    with pytest.raises(UsageError, match=words):
        load(run, **asked)


def test_a_configuration_that_needs_an_absent_brick_is_refused_in_words(run: Path):
    part = load(run, policy="only_image")
    with pytest.raises(UsageError, match="weights of brick `windows` were not loaded; image were"):
        part(X, SIGMA, LABELS)
    with pytest.raises(UsageError, match="were not loaded"):
        part.bricks_run(("windows", "parts"))
    with pytest.raises(UsageError, match="were not loaded"):
        TrainingStack(read_manifest(run), part.store)


def test_a_store_of_some_bricks_initialises_and_loads_them_alone():
    whole, part = WeightStore(SMALL), WeightStore(SMALL, bricks=("windows",))
    for store in (whole, part):
        store.initialise(3)
    assert set(part.weights) == {key for key in whole.weights if not key.startswith(("bricks.parts", "bricks.whole"))}
    assert all(torch.equal(weight, whole.weights[key]) for key, weight in part.weights.items())
    part.load({key: weight.detach() + 1 for key, weight in whole.weights.items()})
    assert all(torch.equal(weight, whole.weights[key] + 1) for key, weight in part.weights.items())
    with pytest.raises(RunError, match=r"unknown bricks\.ghost"):
        part.load({**whole.weights, "bricks.ghost.bias": torch.zeros(1)})


def test_bytes_of_a_header_are_those_of_the_tensor(tmp_path: Path):
    tensors = {str(dtype): torch.ones(3, 5, dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.bool)}
    tensorfile.save(tmp_path / "some.safetensors", tensors, {})
    headers = tensorfile.headers(tmp_path / "some.safetensors")
    assert {name: header.bytes for name, header in headers.items()} == {k: t.nbytes for k, t in tensors.items()}
