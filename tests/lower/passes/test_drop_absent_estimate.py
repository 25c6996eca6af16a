"""`drop-absent-estimate` on the text of programs."""

from __future__ import annotations

from legoc.lower.passes.drop_absent_estimate import DropAbsentEstimate
from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.contract.settings import TrainSettings
from tests.lower.passes.cases import SMALL, applied, changed_lines


def test_zeros_are_neither_made_nor_multiplied():
    before = lower_sampling(SMALL, ("parts",))
    gone, new = changed_lines(before, applied(before, SMALL, [DropAbsentEstimate()]))
    assert gone == [
        "%nothing: image[3x32x32] = no_estimate(%x.scaled)",
        "%parts.pixels: tokens[4x4x512] = partition(%nothing, %x.scaled) "
        "{brick=parts, coordinates=row_column, window=16x16, receptive_field=8}",
        "%parts.tokens: tokens[4x4x32] = embed(%parts.pixels) {brick=parts}",
    ]
    assert new == [
        "%parts.pixels: tokens[4x4x320] = partition(%x.scaled) "
        "{brick=parts, coordinates=row_column, window=16x16, receptive_field=8}",
        "%parts.tokens: tokens[4x4x32] = embed_channels(%parts.pixels) {brick=parts, first=3, count=5}",
    ]


def test_bricks_over_others_and_the_bottom_brick_stay_as_they_are():
    for program in (lower_sampling(SMALL, SMALL.ids), lower_training(SMALL, TrainSettings(fill="zeros"))):
        assert applied(program, SMALL, [DropAbsentEstimate()]) == program
