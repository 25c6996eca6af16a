"""The peer by hand gives the compiled stack's estimates, so that what is timed beside it is the same work."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from legoc.bench.plain import PlainStack
from legoc.lower.program import lower_sampling
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.link.link import link
from tests.lower.equivalence import with_ddpm
from tests.stacks import batch, random_store, stack

SHAPES = {
    "pg": stack(),
    "pr, raw": stack((32, 16, 4), receptive_fields=(2, 8, 2), depths=(2, 1, 1), carry="raw"),
    "unconditional": stack(classes=None),
    "rectangle": stack(((4, 8), (8, 16)), grid=(16, 32), receptive_fields=(4, 4), depths=(1, 1), widths=(16, 32)),
    "labels by a linear layer": replace(stack(), label_form="linear", time_scale=1000.0),
    "columns first": replace(stack(), coordinates="column_row"),
    "no coordinates": replace(
        stack(), coordinates="none", bricks=tuple(replace(brick, coordinates=0) for brick in stack().bricks)
    ),
    "DDPM": with_ddpm(stack(), "learned_range"),
    "offsets": replace(stack(), bricks=tuple(replace(b, offset=(b.window[0] // 2, 1)) for b in stack().bricks)),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_configuration_is_the_linked_one(shape: StackShape) -> None:
    store = random_store(shape, dtype=torch.float64)
    given = batch(shape, dtype=torch.float64)
    plain = PlainStack(shape, store.weights)
    for count in range(1, len(shape.ids) + 1):
        for configuration in combinations(shape.ids, count):
            expected = link(lower_sampling(shape, configuration), store)(*given)
            with torch.no_grad():
                found = plain(*given, configuration=configuration)
            assert (found - expected).abs().max() <= 1e-12 * expected.abs().max().clamp(min=1)


def test_without_labels_it_takes_the_null_label() -> None:
    shape = stack()
    plain = PlainStack(shape, random_store(shape).weights)
    x, sigma, _ = batch(shape)
    null = torch.full((len(x),), shape.classes or 0)
    assert torch.equal(plain(x, sigma), plain(x, sigma, null))


def test_it_computes_in_the_type_of_the_weights_and_answers_in_float32() -> None:
    shape = stack()
    exact, half = random_store(shape), random_store(shape, dtype=torch.bfloat16)
    given = batch(shape)
    close = PlainStack(shape, half.weights)(*given)
    assert close.dtype == torch.float32
    error = (close - PlainStack(shape, exact.weights)(*given)).abs().max()
    assert 1e-5 < error < 0.3
