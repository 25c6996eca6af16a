"""MACs against PyTorch's own counter, on the meta device: what the linked modules really multiply."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from legoc.cost import executed_macs, executed_training_macs, macs, training_macs
from legoc.cost.counts import adaln_macs
from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.contract.program import WindowIndex
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore
from tests.plain_stack import plain_estimate
from tests.stacks import stack


def arguments(shape: StackShape, count: int = 2) -> list[torch.Tensor]:
    x = torch.empty(count, shape.channels, *shape.grid, device="meta")
    labels = [] if shape.classes is None else [torch.zeros(count, dtype=torch.int64, device="meta")]
    return [x, torch.empty(count, device="meta"), *labels]


def counted(run) -> int:
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
    module = link(lower_sampling(shape, configuration), WeightStore(shape, device="meta"))
    with torch.no_grad():
        assert counted(lambda: module(*arguments(shape))) == 2 * executed_macs(shape, configuration)


def test_a_label_is_looked_up_and_not_multiplied() -> None:
    shape = replace(wide(), label_form="linear")
    module = link(lower_sampling(shape, shape.ids), WeightStore(shape, device="meta"))
    with torch.no_grad():
        found = counted(lambda: module(*arguments(shape, 1)))
    assert found == executed_macs(shape) == macs(shape) - 5 * 80


@pytest.mark.parametrize("gradient", ["through", "detached"])
def test_a_training_step_is_what_torch_counts(gradient: str) -> None:
    shape = replace(wide(), label_form="linear")
    program = lower_training(shape, TrainSettings(gradient=gradient))
    module = link(program, WeightStore(shape, device="meta"))
    x, sigma, labels = arguments(shape)
    given = {"x": x, "sigma": sigma, "label": labels, "clean": x}
    for name, kind in program.inputs:
        if isinstance(kind, WindowIndex):
            brick = shape.brick(name.removesuffix(".windows"))
            given[name] = torch.zeros(2, brick.windows_trained, dtype=torch.int64, device="meta")

    def step() -> None:
        estimates = module(*(given[name] for name, _ in program.inputs))
        sum(estimate.sum() for estimate in estimates if estimate.requires_grad).backward()

    assert counted(step) == 2 * executed_training_macs(shape, gradient)
    assert executed_training_macs(shape, gradient) < training_macs(shape)


def test_the_plain_stack_multiplies_as_much() -> None:
    """The formulas written window by window, which repeat the projections of adaLN in every window."""
    shape = replace(stack((16, 32), receptive_fields=(4, 4), depths=(1, 1), widths=(32, 32)), classes=None)
    store = WeightStore(shape, device="meta")
    x, sigma = arguments(shape, 1)
    with torch.no_grad(), torch.device("meta"):
        plain = counted(lambda: plain_estimate(shape, dict(store.weights), x, sigma, None, shape.ids))
    repeated = sum((brick.windows - 1) * adaln_macs(brick) for brick in shape.bricks)
    assert plain - repeated == macs(shape)
