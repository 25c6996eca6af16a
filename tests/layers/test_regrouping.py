"""From brick to brick without an image between: the same numbers as by way of one."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from legoc_runtime.layers.patching import merge, partition
from legoc_runtime.layers.regrouping import common_digits, join_estimate
from legoc_runtime.layers.scaling import precondition, scale_image

GRID = (24, 12)
CUTTINGS = [
    ((2, 2), 1, (0, 0)),
    ((2, 4), 2, (0, 0)),
    ((8, 4), 4, (0, 0)),
    ((6, 6), 3, (0, 0)),
    ((24, 12), 2, (0, 0)),
    ((24, 12), 12, (0, 0)),
    ((2, 4), 2, (1, 3)),
    ((8, 4), 4, (1, 3)),
]


def arguments(source, requires_grad=False):
    generator = torch.Generator().manual_seed(0)
    (down, across), p, _ = source
    windows = GRID[0] * GRID[1] // (down * across)
    tokens = torch.randn(2, windows, down * across // p**2, 3 * p * p, generator=generator, requires_grad=requires_grad)
    image = torch.randn(2, 3, *GRID, generator=generator)
    return tokens, image, *torch.rand(3, 2, generator=generator).unbind()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CUTTINGS), st.sampled_from(CUTTINGS), st.booleans(), st.booleans())
def test_it_is_merging_preconditioning_and_cutting(source, target, raw, coordinates):
    tokens, image, c_skip, c_out, c_in = arguments(source)
    table = torch.randn(2, *GRID) if coordinates else None
    network = merge(tokens, GRID, source[0], source[2], source[1])
    estimate = network if raw else precondition(image, network, c_skip, c_out)
    expected = partition([estimate, scale_image(image, c_in)], table, target[0], target[2], target[1])
    scales = (None, None) if raw else (c_skip, c_out)
    with torch.no_grad():
        ours = join_estimate(tokens, image, *scales, c_in, table, source, target)
    assert ours.is_contiguous()
    torch.testing.assert_close(ours, expected)


def test_sizes_that_nest_have_common_digits_and_others_do_not():
    two, rows, eight, six, whole, coarse, shifted, other = CUTTINGS
    for source, target in ((two, rows), (rows, eight), (eight, two), (rows, whole), (shifted, other)):
        assert common_digits(GRID, source, target) is not None
    for source, target in ((two, six), (eight, six), (six, rows), (eight, coarse), (rows, shifted)):
        assert common_digits(GRID, source, target) is None


def test_gradients_flow_where_they_are_wanted():
    tokens, image, c_skip, c_out, c_in = arguments(CUTTINGS[1], requires_grad=True)
    ours = join_estimate(tokens, image, c_skip, c_out, c_in, None, CUTTINGS[1], CUTTINGS[2])
    (gradient,) = torch.autograd.grad(ours.sum(), tokens)
    assert torch.allclose(gradient, c_out[:, None, None, None].expand_as(gradient))
