"""Training brick by brick: what runs, what learns, and that a run continues across the border of a stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from legoc.lower.pipeline import choose, training_program
from legoc_runtime.checkpoint import checkpoints
from legoc_runtime.checkpoint.tensorfile import load
from legoc_runtime.contract.curriculum import Variant, images_by_variant, stage_at, variants
from legoc_runtime.contract.manifest import manifest_from_json
from legoc_runtime.contract.settings import Stage, TrainSettings
from legoc_runtime.errors import UsageError
from legoc_runtime.link.link import link
from tests.stacks import batch, random_store, stack
from tests.training.test_resume import assert_same_tensors, stop_after
from tests.training.tiny import tiny_build, train_tiny

STAGES = (Stage(("a",), 12), Stage(("b",), 8), Stage(("a", "b", "c")))
IDS = ("a", "b", "c")
SECOND = Variant(("windows", "parts"), ("parts",))


def test_a_stage_runs_the_bricks_up_to_the_highest_that_trains() -> None:
    train = TrainSettings(stages=(*STAGES, Stage(("a", "c"))))
    assert variants(IDS, train) == (
        Variant(("a",), ("a",)),
        Variant(("a", "b"), ("b",)),
        Variant(("a", "b", "c"), ("a", "c")),
    )
    names = [variant.name(IDS) for variant in variants(IDS, train)]
    assert names == ["training.a", "training.a-frozen+b", "training.a+b-frozen+c"]


def test_a_step_belongs_to_the_stage_of_its_first_image() -> None:
    first, second, third = STAGES
    found = [stage_at(STAGES, position) for position in (0, 11, 12, 19, 20, 999)]
    assert found == [first, first, second, second, third, third]
    assert stage_at(STAGES[:2], 999) == second  # the last stage has no end
    assert list(images_by_variant(IDS, TrainSettings(images=32, stages=STAGES)).values()) == [12, 8, 12]
    assert list(images_by_variant(IDS, TrainSettings(images=15, stages=STAGES)).values()) == [12, 3, 0]


def test_a_frozen_brick_and_the_embedders_get_no_gradient_and_bricks_above_do_not_run() -> None:
    """All windows of the frozen brick run, and nothing of them is kept."""
    shape = stack(train_patches=(0.5, 1.0, 1.0))
    store = random_store(shape, dtype=torch.float64)
    program = training_program(shape, TrainSettings(), choose(), variant=SECOND)
    assert program.bricks == ("windows", "parts")
    assert [name for name, _ in program.inputs] == ["x", "sigma", "label"]
    assert [name for name, _ in program.outputs] == ["estimate.parts"]
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        estimate = link(program, store)(*batch(shape, 2, dtype=torch.float64))
    estimate.sin().sum().backward()
    learned = {key for key, weight in store.weights.items() if weight.grad is not None}
    assert learned == {key for key in store.weights if key.startswith("bricks.parts.")}
    assert kept
    assert all(tensor.shape[1:3] != (64, 4) for tensor in kept)  # 64 windows of 4 tokens: those of the frozen brick


STAGED = (
    "images: 32,",
    "images: 32, stages: [{train: [small], images: 12}, {train: [parts], images: 8}, {train: [small, parts, whole]}],",
)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("staged") / "run"
    assert train_tiny(run, tiny_build(change=STAGED)).finished
    return run


def test_weights_move_in_their_stage_alone(staged: Path, tmp_path: Path) -> None:
    """The first checkpoint stands at the end of the second stage: the top brick is as it was initialised."""
    weights: list[dict[str, Tensor]] = []
    for steps in (1, 3):
        stopped = train_tiny(tmp_path / str(steps), tiny_build(change=STAGED), stop=stop_after(steps))
        assert stopped.checkpoint is not None
        weights.append(load(stopped.checkpoint / "weights.safetensors"))
    weights.append(load(staged / "checkpoints" / "000000000020" / "weights.safetensors"))
    one, two, three = weights
    moved = {key: (not torch.equal(one[key], two[key]), not torch.equal(two[key], three[key])) for key in one}
    for key, (in_first, in_second) in moved.items():
        assert not in_first or not key.startswith(("bricks.parts.", "bricks.whole.")), key
        assert not in_second or key.startswith("bricks.parts."), key
    assert moved["bricks.small.final.linear.weight"] == (True, False)
    assert moved["bricks.parts.final.linear.weight"] == (False, True)


@pytest.mark.parametrize("steps", [2, 3, 4, 5])
def test_continuing_across_the_border_of_a_stage_is_exact(staged: Path, tmp_path: Path, steps: int) -> None:
    """Stops before, at and behind both borders, which are at the third and the fifth step."""
    build = tiny_build(change=STAGED)
    train_tiny(tmp_path / "run", build, stop=stop_after(steps))
    finished = train_tiny(tmp_path / "run", build)
    assert finished.checkpoint is not None
    assert_same_tensors(checkpoints(staged)[-1], finished.checkpoint)


def test_metrics_say_which_bricks_trained(staged: Path) -> None:
    lines = [json.loads(line) for line in (staged / "metrics.jsonl").read_text().splitlines()]
    trained = [[id for id, loss in line["loss_by_brick"].items() if loss is not None] for line in lines]
    assert trained == [["small"], ["small", "parts", "whole"], ["small", "parts", "whole"]]
    assert lines[0]["loss"] == lines[0]["loss_by_brick"]["small"]


def test_a_manifest_keeps_the_programs_of_its_stages() -> None:
    manifest, _ = tiny_build(change=STAGED)
    assert [program.name for program in manifest.variants] == ["training.small", "training.small-frozen+parts"]
    assert manifest_from_json(manifest.to_json(), where="manifest.json") == manifest
    assert not any(name.startswith("training") for c in manifest.configurations for name in c)


def test_stages_that_the_build_was_not_made_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the build has no program that trains parts"):
        train_tiny(tmp_path / "run", stages=(Stage(("parts",)),))
    with pytest.raises(UsageError, match="trains the brick `partz`, which the stack does not have"):
        train_tiny(tmp_path / "other", stages=(Stage(("partz",)),))
