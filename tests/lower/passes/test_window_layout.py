"""`window-layout` on the text of programs."""

from __future__ import annotations

from dataclasses import replace

from legoc.lower.passes.window_layout import WindowLayout
from legoc.lower.program import lower_sampling
from legoc_runtime.contract.program import Cut, Merge, Partition, Regroup
from tests.lower.passes.cases import SMALL, applied, changed_lines
from tests.stacks import stack


def test_decoded_tokens_go_straight_into_the_order_of_the_brick_above():
    before = lower_sampling(SMALL, ("windows", "parts"))
    gone, new = changed_lines(before, applied(before, SMALL, [WindowLayout()]))
    assert gone == [
        "%windows.pixels: tokens[64x4x20] = partition(%x.scaled) "
        "{brick=windows, coordinates=row_column, window=4x4, receptive_field=2}",
        "%windows.network: image[3x32x32] = merge(%windows.decoded) "
        "{brick=windows, grid=32x32, window=4x4, receptive_field=2}",
        "%windows.estimate: image[3x32x32] = precondition(%x, %windows.network, %c_skip, %c_out)",
        "%parts.pixels: tokens[4x4x512] = partition(%windows.estimate, %x.scaled) "
        "{brick=parts, coordinates=row_column, window=16x16, receptive_field=8}",
    ]
    assert new == [
        "%x.scaled@4x4/2: tokens[64x4x12] = cut(%x.scaled) {layout=4x4/2}",
        "%windows.pixels: tokens[64x4x20] = join_pixels(%x.scaled@4x4/2) "
        "{brick=windows, coordinates=row_column, layout=4x4/2}",
        "%x@16x16/8: tokens[4x4x192] = cut(%x) {layout=16x16/8}",
        "%windows.network@16x16/8: tokens[4x4x192] = regroup(%windows.decoded) "
        "{grid=32x32, source=4x4/2, target=16x16/8}",
        "%windows.estimate@16x16/8: tokens[4x4x192] = precondition(%x@16x16/8, %windows.network@16x16/8, "
        "%c_skip, %c_out)",
        "%x.scaled@16x16/8: tokens[4x4x192] = scale_image(%x@16x16/8, %c_in)",
        "%parts.pixels: tokens[4x4x512] = join_pixels(%windows.estimate@16x16/8, %x.scaled@16x16/8) "
        "{brick=parts, coordinates=row_column, layout=16x16/8}",
    ]


def test_without_preconditioning_in_between_the_scaled_image_alone_is_cut():
    raw = replace(SMALL, carry="raw")
    before = lower_sampling(raw, ("windows", "parts"))
    _, new = changed_lines(before, applied(before, raw, [WindowLayout()]))
    assert new[2:] == [
        "%windows.network@16x16/8: tokens[4x4x192] = regroup(%windows.decoded) "
        "{grid=32x32, source=4x4/2, target=16x16/8}",
        "%x.scaled@16x16/8: tokens[4x4x192] = cut(%x.scaled) {layout=16x16/8}",
        "%parts.pixels: tokens[4x4x512] = join_pixels(%windows.network@16x16/8, %x.scaled@16x16/8) "
        "{brick=parts, coordinates=row_column, layout=16x16/8}",
    ]


def test_an_image_is_cut_once_a_layout_and_put_together_once():
    """U: the two image-bricks see the same tokens, and so do the two bricks of patches."""
    five = ("coarse", "parts", "detail", "regroup", "top")
    shape = stack((32, 16, 4, 16, 32), receptive_fields=(2, 8, 2, 8, 2), depths=(1,) * 5, widths=(32,) * 5, ids=five,
                  train_patches=(1.0,) * 5)  # fmt: skip
    ops = applied(lower_sampling(shape, five), shape, [WindowLayout()]).ops
    assert not any(isinstance(op, Partition) for op in ops)
    # the bottom brick takes the scaled image itself; its layout comes again with the top brick, from %x
    assert [str(op.layout) for op in ops if isinstance(op, Cut)] == ["32x32/2", "16x16/8", "4x4/2", "32x32/2"]
    assert sum(isinstance(op, Merge) for op in ops) == 1
    assert sum(isinstance(op, Regroup) for op in ops) == 4


def test_offsets_are_part_of_a_layout():
    shape = replace(SMALL, bricks=(SMALL.bricks[0], replace(SMALL.bricks[1], offset=(8, 8)), SMALL.bricks[2]))
    before = lower_sampling(shape, ("windows", "parts"))
    _, new = changed_lines(before, applied(before, shape, [WindowLayout()]))
    assert "%x@16x16/8+8+8: tokens[4x4x192] = cut(%x) {layout=16x16/8+8+8}" in new
