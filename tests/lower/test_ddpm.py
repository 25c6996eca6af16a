"""Programs of stacks on DDPM's chain: what differs from EDM's, and what does not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from legoc.lower.passes.rewrite import with_ops
from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.contract import codec
from legoc_runtime.contract.chain_ops import DdpmScales, JoinChannels, TakeChannels
from legoc_runtime.contract.program import Merge, Program
from legoc_runtime.contract.program_text import to_text
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.contract.verify import verify_program
from legoc_runtime.errors import RunError
from tests.lower.equivalence import with_ddpm
from tests.stacks import stack

SHAPE = with_ddpm(stack((16, 32), receptive_fields=(8, 8), depths=(1, 1), ids=("parts", "whole")), "learned_range")
PROGRAM = lower_sampling(SHAPE, SHAPE.ids)


def lines(program: Program, *words: str) -> list[str]:
    return [line.strip() for line in to_text(program).splitlines() if any(word in line for word in words)]


def test_noise_is_predicted_beside_a_variance_and_estimates_are_handed_on_within_bounds() -> None:
    assert lines(PROGRAM, "scales", "scaled:", "network:", "prediction", "estimate", "variance", "bounded") == [
        "%c_skip: scalar, %c_out: scalar, %c_in: scalar, %c_noise: scalar, %c_below: scalar = ddpm_scales(%sigma)",
        "%x.scaled: image[3x32x32] = scale_image(%x, %c_in)",
        "%parts.network: image[6x32x32] = merge(%parts.decoded) "
        "{brick=parts, grid=32x32, window=16x16, receptive_field=8}",
        "%parts.prediction: image[3x32x32] = take_channels(%parts.network) {first=0, count=3}",
        "%parts.estimate: image[3x32x32] = precondition(%x, %parts.prediction, %c_skip, %c_out)",
        "%whole.bounded: image[3x32x32] = scale_image(%parts.estimate, %c_below)",
        "%whole.pixels: tokens[1x16x512] = partition(%whole.bounded, %x.scaled) "
        "{brick=whole, coordinates=row_column, window=32x32, receptive_field=8}",
        "%whole.network: image[6x32x32] = merge(%whole.decoded) "
        "{brick=whole, grid=32x32, window=32x32, receptive_field=8}",
        "%whole.prediction: image[3x32x32] = take_channels(%whole.network) {first=0, count=3}",
        "%whole.estimate: image[3x32x32] = precondition(%x, %whole.prediction, %c_skip, %c_out)",
        "%whole.variance: image[3x32x32] = take_channels(%whole.network) {first=3, count=3}",
        "%whole.result: image[6x32x32] = join_channels(%whole.estimate, %whole.variance)",
        "return estimate=%whole.result",
    ]
    assert codec.decode(Program, codec.encode(PROGRAM), where="test") == PROGRAM


def test_training_gives_every_brick_its_variance_and_fills_before_it_bounds() -> None:
    bricks = (replace(SHAPE.bricks[0], train_patches=0.5), SHAPE.bricks[1])
    program = lower_training(replace(SHAPE, bricks=bricks), TrainSettings(fill="x0", gradient="detached"))
    assert [name for name, _ in program.outputs] == [
        *("estimate.parts", "mask.parts", "variance.parts"),
        *("estimate.whole", "variance.whole"),
    ]
    assert lines(program, "filled:", "%whole.below:", "bounded:") == [
        "%parts.filled: image[3x32x32] = fill_clean(%parts.estimate, %clean, %parts.mask)",
        "%whole.below: image[3x32x32] = detach(%parts.filled)",
        "%whole.bounded: image[3x32x32] = scale_image(%whole.below, %c_below)",
    ]


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        (TakeChannels, {"count": 7}),
        (TakeChannels, {"first": 4}),
        (TakeChannels, {"image": "c_in"}),
        (JoinChannels, {"images": ("whole.estimate",)}),
        (JoinChannels, {"images": ()}),
        (Merge, {"out": "whole.prediction"}),
        (DdpmScales, {"sigma": "x"}),
    ],
)
def test_operations_that_do_not_fit_are_refused(kind: type, damage: dict[str, object]) -> None:
    verify_program(PROGRAM, SHAPE)
    place = next(i for i, op in enumerate(PROGRAM.ops) if isinstance(op, kind))
    damaged = replace(PROGRAM.ops[place], **damage)
    with pytest.raises(RunError, match="is not valid"):
        verify_program(with_ops(PROGRAM, (*PROGRAM.ops[:place], damaged, *PROGRAM.ops[place + 1 :])), SHAPE)


def test_a_chain_is_not_read_off_a_stack_that_has_none() -> None:
    with pytest.raises(RunError, match=r"`ddpm_scales` needs None"):
        verify_program(PROGRAM, replace(SHAPE, diffusion=EdmConstants()))
