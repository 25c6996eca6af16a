"""`window-layout` on the text of programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from legoc.lower.passes.window_layout import WindowLayout
from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.contract.settings import TrainSettings
from tests.lower.passes.cases import SMALL, applied, changed_lines


def test_decoded_tokens_go_straight_into_the_order_of_the_brick_above():
    before = lower_sampling(SMALL, ("windows", "parts"))
    gone, new = changed_lines(before, applied(before, SMALL, [WindowLayout()]))
    assert gone == [
        "%windows.network: image[3x32x32] = merge(%windows.decoded) "
        "{brick=windows, grid=32x32, window=4x4, receptive_field=2}",
        "%windows.estimate: image[3x32x32] = precondition(%x, %windows.network, %c_skip, %c_out)",
        "%parts.pixels: tokens[4x4x512] = partition(%windows.estimate, %x.scaled) "
        "{brick=parts, coordinates=row_column, window=16x16, receptive_field=8}",
    ]
    assert new == [
        "%parts.pixels: tokens[4x4x512] = join_estimate(%windows.decoded, %x, %c_skip, %c_out, %c_in) "
        "{brick=parts, coordinates=row_column, source=4x4/2, target=16x16/8}",
    ]


def test_a_raw_network_output_is_handed_on_as_it_is():
    raw = replace(SMALL, carry="raw")
    before = lower_sampling(raw, ("windows", "parts"))
    _, new = changed_lines(before, applied(before, raw, [WindowLayout()]))
    assert new == [
        "%parts.pixels: tokens[4x4x512] = join_estimate(%windows.decoded, %x, %c_in) "
        "{brick=parts, coordinates=row_column, source=4x4/2, target=16x16/8}",
    ]


def test_offsets_are_part_of_a_layout():
    shape = replace(SMALL, bricks=(SMALL.bricks[0], replace(SMALL.bricks[1], offset=(8, 8)), SMALL.bricks[2]))
    before = lower_sampling(shape, ("windows", "parts"))
    _, new = changed_lines(before, applied(before, shape, [WindowLayout()]))
    assert new[0].endswith("{brick=parts, coordinates=row_column, source=4x4/2, target=16x16/8+8+8}")


@pytest.mark.parametrize("fill", ["x0", "zeros"])
def test_filled_estimates_and_the_lowest_brick_are_cut_from_images(fill):
    shape = replace(SMALL, bricks=(replace(SMALL.bricks[0], train_patches=0.5), *SMALL.bricks[1:]))
    before = lower_training(shape, TrainSettings(fill=fill))
    gone, new = changed_lines(before, applied(before, shape, [WindowLayout()]))
    assert [line.split(":")[0] for line in gone] == ["%whole.pixels"]
    assert len(new) == 1
    for configuration in (("windows",), ("parts",)):
        program = lower_sampling(SMALL, configuration)
        assert applied(program, SMALL, [WindowLayout()]) == program
