from __future__ import annotations

import pytest
import torch

from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.guidance import Guided
from tests.sampling.fakes import FormulaStack, shape

X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
SIGMA = torch.full((3,), 2.0)
LABELS = torch.tensor([0, 1, 4])


def test_official_bug_b2_guidance_keeps_the_configuration():
    stack = FormulaStack(shape())
    Guided(stack, 2.0, 5)(X, SIGMA, LABELS, configuration=("windows", "parts"))
    assert stack.calls == [(6, ("windows", "parts"))]


def test_guidance_goes_from_the_null_estimate_through_the_class_estimate():
    stack = FormulaStack(shape())
    null = stack(X, SIGMA, torch.full_like(LABELS, 5))
    own = stack(X, SIGMA, LABELS)
    guided = Guided(stack, 1.75, 5)(X, SIGMA, LABELS)
    torch.testing.assert_close(guided, null + 1.75 * (own - null))


def test_no_guidance_costs_nothing():
    stack = FormulaStack(shape())
    assert torch.equal(Guided(stack, 1.0, 5)(X, SIGMA, LABELS), stack(X, SIGMA, LABELS))
    assert [rows for rows, _ in stack.calls] == [3, 3]


@pytest.mark.parametrize(("scale", "classes"), [(-0.5, 5), (float("nan"), 5), (2.0, None)])
def test_meaningless_guidance_is_refused(scale: float, classes: int | None):
    with pytest.raises(UsageError):
        Guided(FormulaStack(shape(classes)), scale, classes)


def test_guidance_needs_labels():
    with pytest.raises(UsageError, match="class of every picture"):
        Guided(FormulaStack(shape()), 2.0, 5)(X, SIGMA)
