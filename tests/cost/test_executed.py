"""MACs against PyTorch's own counter, on the meta device: what the linked modules really multiply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from legoc.cost import constant_macs, executed_macs, executed_training_macs, macs, program_macs, training_macs
from legoc.cost.counts import adaln_macs
from legoc.lower.pipeline import choose, sampling_program, training_program
from legoc.lower.program import lower_sampling
from legoc_runtime.backends.regions import replace_bricks
from legoc_runtime.contract.curriculum import variants
from legoc_runtime.contract.pass_ops import EmbedFolded
from legoc_runtime.contract.program import Program, WindowIndex
from legoc_runtime.contract.settings import Stage, TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.link.link import link
from legoc_runtime.link.split import split
from legoc_runtime.stack.training_stack import Checkpointed
from legoc_runtime.store import WeightStore
from tests.plain_stack import plain_estimate
from tests.stacks import stack


def arguments(shape: StackShape, count: int = 2) -> list[torch.Tensor]:
    x = torch.empty(count, shape.channels, *shape.grid, device="meta")
    labels = [] if shape.classes is None else [torch.zeros(count, dtype=torch.int64, device="meta")]
    return [x, torch.empty(count, device="meta"), *labels]


def counted(run: Any) -> int:
    """MACs of what `run` does. CPU kernels of attention count nothing; products do (SDPBackend.MATH)."""
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return counter.get_total_flops() // 2


def wide() -> StackShape:
    """Bricks that differ in everything that a formula could forget."""
    shape = stack(depths=(2, 1, 3), widths=(32, 64, 48), condition_width=80, train_patches=(0.75, 0.5, 1.0))
    return replace(shape, bricks=(replace(shape.bricks[0], mlp_ratio=2.5, offset=(1, 2)), *shape.bricks[1:]))


@pytest.mark.parametrize("classes", [None, 5])
@pytest.mark.parametrize("configuration", [("windows", "parts", "whole"), ("whole",), ("windows", "whole")])
def test_a_forward_pass_is_what_torch_counts(configuration: tuple[str, ...], classes: int | None) -> None:
    shape = replace(wide(), classes=classes)
    program = sampling_program(shape, configuration, choose())
    assert program_macs(program, shape) == executed_macs(shape, configuration)
    module = link(program, WeightStore(shape, device="meta"))
    with torch.no_grad():
        # the first call makes the constants, once for every state of the weights
        once = counted(lambda: module(*arguments(shape)))
        assert counted(lambda: module(*arguments(shape))) == 2 * executed_macs(shape, configuration)
    assert once == 2 * executed_macs(shape, configuration) + constant_macs(program, shape)


@pytest.mark.parametrize("left_out", choose().names)
def test_a_program_is_counted_whatever_passes_made_it(left_out: str) -> None:
    shape = wide()
    for configuration in (("windows", "parts", "whole"), ("parts", "whole")):
        program = sampling_program(shape, configuration, choose(disable=[left_out]))
        module = link(program, WeightStore(shape, device="meta"))
        with torch.no_grad():
            module(*arguments(shape))
            assert counted(lambda run=module: run(*arguments(shape))) == 2 * program_macs(program, shape)


def test_without_passes_a_forward_pass_has_the_papers_count() -> None:
    shape = wide()
    for configuration in (("windows", "parts", "whole"), ("whole",)):
        assert program_macs(lower_sampling(shape, configuration), shape) == macs(shape, configuration)


def test_conditioning_computed_ahead_is_left_out() -> None:
    shape = wide()
    body = split(sampling_program(shape, ("windows", "whole"), choose()), shape).body
    assert executed_macs(shape, ("windows", "whole"), ahead=True) == program_macs(body, shape)


def test_a_constant_that_is_too_large_is_not_counted_as_folded() -> None:
    shape = stack((256, 256), grid=(256, 256), receptive_fields=(1, 4), depths=(1, 1), widths=(512, 32))
    program = sampling_program(shape, shape.ids, choose())
    assert [op.brick for op in program.ops if isinstance(op, EmbedFolded)] == ["parts"]
    assert program_macs(program, shape) == executed_macs(shape)


def test_a_label_is_looked_up_and_not_multiplied() -> None:
    shape = replace(wide(), label_form="linear")
    program = lower_sampling(shape, shape.ids)
    module = link(program, WeightStore(shape, device="meta"))
    with torch.no_grad():
        found = counted(lambda: module(*arguments(shape, 1)))
    assert found == program_macs(program, shape) == macs(shape) - 5 * 80


def linked(program: Program, shape: StackShape, train: TrainSettings) -> Any:
    module = link(program, WeightStore(shape, device="meta"))
    if train.checkpoint_activations == "none":
        return module
    return replace_bricks(module, lambda _, inner: Checkpointed(inner))


@pytest.mark.parametrize("again", ["none", "bricks"])
@pytest.mark.parametrize("fill", ["noisy", "model"])
@pytest.mark.parametrize("gradient", ["through", "detached"])
def test_a_training_step_is_what_torch_counts(gradient: Any, fill: Any, again: Any) -> None:
    shape = replace(wide(), label_form="linear")
    train = TrainSettings(gradient=gradient, fill=fill, checkpoint_activations=again)
    program = training_program(shape, train, choose())
    module = linked(program, shape, train)
    x, sigma, labels = arguments(shape)
    given = {"x": x, "sigma": sigma, "label": labels, "clean": x}
    for name, kind in program.inputs:
        if isinstance(kind, WindowIndex):
            brick = shape.brick(name.removesuffix(".windows"))
            given[name] = torch.zeros(2, brick.windows_trained, dtype=torch.int64, device="meta")

    def step() -> None:
        estimates = module(*(given[name] for name, _ in program.inputs))
        loss = torch.stack([estimate.sum() for estimate in estimates if estimate.requires_grad]).sum()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]

    # the constant of the top brick, which runs all its windows: forward, and the gradient of its columns
    once = 2 * constant_macs(program, shape)
    assert once == 2 * 256 * 2 * 4 * 48
    assert counted(step) == 2 * executed_training_macs(shape, train) + once
    assert again == "bricks" or executed_training_macs(shape, train) < training_macs(shape, train)


STAGES = {
    "bottom alone": Stage(("windows",)),
    "middle over a frozen one": Stage(("parts",)),
    "top over two that train and do not": Stage(("windows", "whole")),
}


@pytest.mark.parametrize("again", ["none", "bricks"])
@pytest.mark.parametrize("fill", ["noisy", "model"])
@pytest.mark.parametrize("name", STAGES)
def test_a_step_of_a_stage_is_what_torch_counts(name: str, fill: Any, again: Any) -> None:
    bricks = tuple(replace(brick, coordinates=0) for brick in wide().bricks)
    shape = replace(wide(), bricks=bricks, coordinates="none")
    train = TrainSettings(fill=fill, stages=(STAGES[name],), checkpoint_activations=again)
    (variant,) = variants(shape.ids, train)
    program = training_program(shape, train, choose(), variant=variant)
    module = linked(program, shape, train)
    x, sigma, labels = arguments(shape)
    given = {"x": x, "sigma": sigma, "label": labels}
    for argument, kind in program.inputs:
        if isinstance(kind, WindowIndex):
            given[argument] = torch.zeros(2, kind.taken, dtype=torch.int64, device="meta")

    def step() -> None:
        found = module(*(given[argument] for argument, _ in program.inputs))
        estimates: tuple[torch.Tensor, ...] = (found,) if isinstance(found, torch.Tensor) else found
        loss = torch.stack([estimate.sum() for estimate in estimates if estimate.requires_grad]).sum()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]

    assert counted(step) == 2 * executed_training_macs(shape, train)


def test_stages_are_counted_by_their_images() -> None:
    shape = wide()
    each = [TrainSettings(stages=(stage,)) for stage in STAGES.values()]
    first, second, third = (training_macs(shape, train) for train in each)
    stages = tuple(replace(stage, images=count) for stage, count in zip(STAGES.values(), (100, 200, None), strict=True))
    assert training_macs(shape, TrainSettings(images=500, stages=stages)) == (first + 2 * second + 2 * third) // 5
    assert training_macs(shape, TrainSettings(images=300, stages=stages)) == (first + 2 * second) // 3


def test_the_plain_stack_multiplies_as_much() -> None:
    """The formulas written window by window, which repeat the projections of adaLN in every window."""
    shape = replace(stack((16, 32), receptive_fields=(4, 4), depths=(1, 1), widths=(32, 32)), classes=None)
    store = WeightStore(shape, device="meta")
    x, sigma = arguments(shape, 1)
    with torch.no_grad(), torch.device("meta"):
        plain = counted(lambda: plain_estimate(shape, dict(store.weights), x, sigma, None, shape.ids))
    repeated = sum((brick.windows - 1) * adaln_macs(brick) for brick in shape.bricks)
    assert plain - repeated == macs(shape)
