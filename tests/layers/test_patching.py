"""Cutting and putting together are exact inverses, on any geometry."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from legoc_runtime.layers.patching import merge, partition, put_windows, take_windows, window_mask

sides = st.integers(1, 3)


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides, sides, st.integers(1, 3), st.integers(1, 3))
def test_merge_inverts_partition(rows, columns, down, across, p, channels):
    window = (down * p, across * p)
    grid = (rows * window[0], columns * window[1])
    offset = (rows % window[0], columns % window[1])
    image = torch.arange(2 * channels * grid[0] * grid[1], dtype=torch.float32).reshape(2, channels, *grid)
    tokens = partition([image], None, window, offset, p)
    assert tokens.shape == (2, rows * columns, down * across, channels * p * p)
    # partition lays a token out (channel, row, column), merge reads (row, column, channel)
    turned = tokens.reshape(*tokens.shape[:3], channels, p * p).transpose(-1, -2).reshape(tokens.shape)
    assert torch.equal(merge(turned, grid, window, offset, p), image)


def test_windows_and_tokens_are_in_row_major_order():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    tokens = partition([image], None, (2, 2), (0, 0), 1)
    assert tokens[0, :, :, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_channels_come_in_order_and_coordinates_last():
    images = [torch.full((1, 1, 2, 2), 1.0), torch.full((1, 2, 2, 2), 2.0)]
    coordinates = torch.stack([torch.full((2, 2), 3.0), torch.full((2, 2), 4.0)])
    assert partition(images, coordinates, (2, 2), (0, 0), 1)[0, 0, 0].tolist() == [1, 2, 2, 3, 4]


def test_taken_windows_go_back_to_their_places():
    tokens = torch.randn(2, 6, 3, 4)
    index = torch.tensor([[0, 2, 5], [1, 2, 3]])
    back = put_windows(take_windows(tokens, index), index, 6)
    mask = window_mask(index, (2, 3), (1, 1), (0, 0)).reshape(2, 6, 1, 1)
    assert torch.equal(back, tokens * mask)
    assert mask.sum() == 6


def test_offset_windows_start_where_they_say_and_go_on_at_the_other_side():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    tokens = partition([image], None, (2, 2), (1, 1), 1)
    assert tokens[0, :, :, 0].tolist() == [[5, 6, 9, 10], [7, 4, 11, 8], [13, 14, 1, 2], [15, 12, 3, 0]]
    mask = window_mask(torch.tensor([[3]]), (4, 4), (2, 2), (1, 1))
    assert mask[0, 0].nonzero().tolist() == [[0, 0], [0, 3], [3, 0], [3, 3]]
