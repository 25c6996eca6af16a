"""BrickStack as a user's own loop meets it: what it takes, and what it refuses in words."""

from __future__ import annotations

import pytest
import torch

from legoc.driver import compile_spec
from legoc.spec import check_text
from legoc_runtime import BrickStack, UsageError
from tests.cli.small_run import spec_text
from tests.stacks import random_store


@pytest.fixture(scope="module")
def stack() -> BrickStack:
    spec = check_text(spec_text(), "small.yaml").spec
    assert spec is not None
    manifest, _ = compile_spec(spec)
    return BrickStack(manifest, random_store(manifest.shape))


X = torch.randn(2, 3, 16, 8, generator=torch.Generator().manual_seed(0))
SIGMA = torch.tensor([0.5, 2.0])
LABELS = torch.tensor([0, 4])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"configuration": ()}, "no brick"),
        ({"configuration": "windows"}, "tuple of brick ids"),
        ({"configuration": ("ghost",)}, "no configuration `ghost`"),
        ({"x": X[:, :1]}, "this stack takes"),
        ({"sigma": SIGMA[:1]}, "2 images take"),
        ({"labels": LABELS[:1]}, "2 images take"),
        ({"labels": torch.tensor([0, 5])}, "outside 0 to 4"),
        ({"labels": torch.tensor([-1, 0])}, "outside 0 to 4"),
    ],
)
def test_what_makes_no_sense_is_refused(stack: BrickStack, arguments: dict[str, object], said: str) -> None:
    given = {"x": X, "sigma": SIGMA, "labels": LABELS, **arguments}
    with pytest.raises(UsageError, match=said):
        stack(**given)


def test_a_batch_without_images_gives_none(stack: BrickStack) -> None:
    """Its labels have no least one."""
    for labels in (None, LABELS[:0]):
        assert stack(X[:0], SIGMA[:0], labels).shape == (0, 3, 16, 8)
        assert stack.by_level(X[:0], SIGMA[:0], labels, runs=[]).shape == (0, 3, 16, 8)


def test_no_configuration_is_the_whole_stack_and_no_labels_are_null_labels(stack: BrickStack) -> None:
    whole = stack(X, SIGMA, LABELS)
    assert torch.equal(whole, stack(X, SIGMA, LABELS, configuration=stack.shape.ids))
    assert not torch.equal(whole, stack(X, SIGMA, LABELS, configuration=("windows", "parts")))
    assert torch.equal(stack(X, SIGMA), stack(X, SIGMA, torch.tensor([4, 4])))
    assert torch.equal(stack(X, torch.tensor(0.5), LABELS), stack(X, torch.tensor([0.5, 0.5]), LABELS))
