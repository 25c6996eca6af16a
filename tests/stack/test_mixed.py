"""Batches of mixed noise levels: each image as alone, one call a configuration, what makes no sense refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from legoc_runtime.contract.policy import TruthTable, tabulate
from legoc_runtime.contract.schedule import edm_levels
from legoc_runtime.errors import UsageError
from legoc_runtime.stack import BrickStack
from tests.stack.conditioned import ALL, LOWER, SMALL, WINDOWS, brick_stack

X = torch.randn(7, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 5, 3, 3, 1, 0, 2])
STEPS = (0, 5, 2, 4, 1, 5, 3)
"""Where each image stands in a schedule of 6 levels."""


@pytest.fixture(scope="module")
def stack() -> BrickStack:
    return brick_stack()


@pytest.fixture(scope="module")
def halfway(stack: BrickStack) -> TruthTable:
    return tabulate(stack.manifest.policy("halfway"), SMALL.ids, edm_levels(6, SMALL.edm))


def sigmas(table: TruthTable) -> torch.Tensor:
    return torch.tensor([table.levels[step].sigma for step in STEPS])


@torch.no_grad()
def test_each_image_gets_the_estimate_that_it_gets_alone(stack: BrickStack, halfway: TruthTable):
    sigma = sigmas(halfway)
    together = stack.by_level(X, sigma, LABELS, runs=halfway)
    for i, step in enumerate(STEPS):
        row = slice(i, i + 1)
        assert torch.equal(stack.by_level(X[row], sigma[row], LABELS[row], runs=halfway), together[row])
        plain = stack(X[row], sigma[row], LABELS[row], configuration=halfway.configurations[step])
        torch.testing.assert_close(together[row], plain, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_table_gives_the_same_bits(stack: BrickStack, halfway: TruthTable):
    calls = [(what, level.sigma) for what, level in zip(halfway.configurations, halfway.levels, strict=True)]
    sigma = sigmas(halfway)
    together = stack.by_level(X, sigma, LABELS, runs=halfway)
    for bound in (2**28, 1):
        table = stack.tabulate(calls, range(6), max_bytes=bound)
        assert torch.equal(stack.by_level(X, sigma, LABELS, runs=halfway, table=table), together)


@torch.no_grad()
def test_every_configuration_is_called_once_for_all_its_images(halfway: TruthTable):
    stack = brick_stack()
    seen: dict[str, list[int]] = {}
    for id in SMALL.ids:
        embed = stack.store.get_submodule(f"brick_{id}.embed")
        embed.register_forward_pre_hook(lambda module, given, id=id: seen.setdefault(id, []).append(len(given[0])))
    stack.by_level(X, sigmas(halfway), LABELS, runs=halfway)
    # steps 0, 1 and 2 run all bricks, the others leave out the top one
    assert seen == {"windows": [3, 4], "parts": [3, 4], "whole": [3]}


@torch.no_grad()
def test_configurations_may_be_named_image_by_image(stack: BrickStack):
    runs = (ALL, LOWER, WINDOWS, ALL, LOWER, ("parts", "whole"), ("whole",))
    sigma = torch.linspace(0.1, 3, 7)
    together = stack.by_level(X, sigma, LABELS, runs=runs)
    for i, configuration in enumerate(runs):
        row = slice(i, i + 1)
        plain = stack(X[row], sigma[row], LABELS[row], configuration=configuration)
        torch.testing.assert_close(together[row], plain, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_stacks_without_classes(halfway: TruthTable):
    stack = brick_stack(replace(SMALL, classes=None))
    together = stack.by_level(X, sigmas(halfway), runs=halfway)
    assert torch.equal(together[:1], stack.by_level(X[:1], sigmas(halfway)[:1], runs=halfway))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sigma": torch.full((7,), 0.77)}, "image 0 is at sigma 0.77, which is no level"),
        ({"sigma": torch.tensor(80.0)}, "one number"),
        ({"runs": (ALL, LOWER)}, "2 configurations for 7 images"),
        ({"runs": (("ghost",),) * 7}, "no configuration `ghost`"),
        ({"labels": LABELS[:2]}, "7 images take"),
    ],
)
def test_what_makes_no_sense_is_refused(stack: BrickStack, halfway: TruthTable, change: dict[str, object], said: str):
    given = {"x": X, "sigma": sigmas(halfway), "labels": LABELS, "runs": halfway, **change}
    with pytest.raises(UsageError, match=said):
        stack.by_level(**given)
