"""Programs: their text, their verifier, and that they survive JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from legoc.lower.passes.catalog import exact_sampling
from legoc.lower.passes.drop_absent_estimate import DropAbsentEstimate
from legoc.lower.pipeline import choose, sampling_program
from legoc.lower.program import lower_sampling, lower_training
from legoc_runtime.contract import codec
from legoc_runtime.contract.pass_ops import (
    EmbedChannels,
    EmbedFolded,
    JoinEstimate,
    ModulateTogether,
    SplitModulations,
)
from legoc_runtime.contract.program import (
    OPS,
    Op,
    Partition,
    Program,
    ScaleImage,
    Tokens,
    Vector,
    inputs_of,
    outputs_of,
)
from legoc_runtime.contract.program_text import to_text
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import Layout, PretrainedShape
from legoc_runtime.contract.verify import INVARIANTS, verify_program
from legoc_runtime.errors import RunError
from tests.lower.equivalence import with_ddpm
from tests.lower.passes.cases import applied
from tests.stacks import stack

SHAPE = stack(depths=(1, 1, 1))


def test_the_text_of_a_skipped_configuration():
    assert to_text(lower_sampling(SHAPE, ("parts",))) == (
        "program parts(%x: image[3x32x32], %sigma: scalar, %label: label[5]) {\n"
        "  %c_skip: scalar, %c_out: scalar, %c_in: scalar, %c_noise: scalar = edm_scales(%sigma) {sigma_data=0.5}\n"
        "  %x.scaled: image[3x32x32] = scale_image(%x, %c_in)\n"
        "  %condition: vector[32] = condition(%c_noise, %label) {form=table, time_scale=1.0}\n"
        "  %nothing: image[3x32x32] = no_estimate(%x.scaled)\n"
        "  %parts.pixels: tokens[4x4x512] = partition(%nothing, %x.scaled) "
        "{brick=parts, coordinates=row_column, window=16x16, receptive_field=8}\n"
        "  %parts.tokens: tokens[4x4x32] = embed(%parts.pixels) {brick=parts}\n"
        "  %parts.0.modulation: vector[192] = modulate(%condition) {brick=parts, block=0}\n"
        "  %parts.0.attended: tokens[4x4x32] = attend(%parts.tokens, %parts.0.modulation) "
        "{brick=parts, block=0, heads=4}\n"
        "  %parts.0.tokens: tokens[4x4x32] = mlp(%parts.0.attended, %parts.0.modulation) {brick=parts, block=0}\n"
        "  %parts.final.modulation: vector[64] = modulate(%condition) {brick=parts}\n"
        "  %parts.decoded: tokens[4x4x192] = decode(%parts.0.tokens, %parts.final.modulation) {brick=parts}\n"
        "  %parts.network: image[3x32x32] = merge(%parts.decoded) "
        "{brick=parts, grid=32x32, window=16x16, receptive_field=8}\n"
        "  %parts.estimate: image[3x32x32] = precondition(%x, %parts.network, %c_skip, %c_out)\n"
        "  return estimate=%parts.estimate\n"
        "}\n"
    )


def test_conditioning_is_computed_once_whatever_the_number_of_bricks():
    program = lower_sampling(SHAPE, SHAPE.ids)
    assert [op.name for op in program.ops].count("condition") == 1


@pytest.mark.parametrize(
    "train", [TrainSettings(), TrainSettings(fill="x0", gradient="detached"), TrainSettings(fill="model")]
)
@pytest.mark.parametrize("carry", ["x0", "raw"])
def test_programs_survive_json(train: Any, carry: Any):
    shape = stack(carry=carry, train_patches=(0.5, 0.75, 1.0))
    for program in (
        lower_sampling(shape, ("parts", "whole")),
        sampling_program(shape, ("parts", "whole"), choose()),
        lower_training(shape, train),
    ):
        assert codec.decode(Program, codec.encode(program), where="test") == program


MODEL = PretrainedShape("base", "stack", "runs/old", True, None, 0.0, None, "x0", ())
ABOVE = replace(MODEL, place=1, noise_scale=0.5)


def test_every_operation_is_emitted_by_some_program():
    """The set of operations is closed and has no dead members: what lowering does not emit, passes do."""
    shape = stack(carry="raw", train_patches=(0.5, 1.0, 1.0))
    programs = [
        lower_training(shape, TrainSettings(fill="x0", gradient="detached")),
        lower_training(shape, TrainSettings(fill="model")),
        lower_sampling(shape, ("whole",)),
        DropAbsentEstimate().apply(lower_sampling(shape, ("whole",)), shape),
        sampling_program(shape, shape.ids, choose()),
        lower_sampling(with_ddpm(shape, "learned_range"), ("whole",)),
        lower_sampling(replace(shape, pretrained=ABOVE), ("windows", "base", "whole")),
    ]
    assert {op.name for program in programs for op in program.ops} == set(OPS)


GOOD = lower_sampling(SHAPE, SHAPE.ids)
WHOLE = sampling_program(SHAPE, ("whole",), choose())


def _in_layout(op: Op, layout: Layout) -> Op:
    return replace(op, layout=layout) if isinstance(op, EmbedFolded) else op


def _turned(op: Op) -> Op:
    """A folded embedding that names coordinates which are not the stack's: its module has the stack's all the same."""
    return replace(op, coordinates="column_row") if isinstance(op, EmbedFolded) else op


FAULTS = {
    "defined once": replace(GOOD, ops=(*GOOD.ops, GOOD.ops[-1])),
    "defined before read": replace(GOOD, ops=GOOD.ops[::-1]),
    "typed": replace(GOOD, types={k: v for k, v in GOOD.types.items() if k != "condition"}),
    "bricks exist": replace(GOOD, bricks=("windows", "parts")),
    "widths agree": replace(GOOD, types={**GOOD.types, "parts.0.modulation": Vector(7)}),
    "layouts exist": replace(WHOLE, ops=tuple(_in_layout(op, Layout((32, 32), 4)) for op in WHOLE.ops)),
    "coordinates are the stack's": replace(WHOLE, ops=tuple(_turned(op) for op in WHOLE.ops)),
    "types follow": replace(WHOLE, types={**WHOLE.types, "whole.tokens": Tokens(1, 255, 32)}),
}


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_each_invariant_notices_its_fault(invariant: Any):
    verify_program(GOOD, SHAPE)
    verify_program(WHOLE, SHAPE)
    with pytest.raises(RunError, match=f"\\[{invariant}\\]"):
        verify_program(FAULTS[invariant], SHAPE)


FULL = applied(GOOD, SHAPE, exact_sampling())
ALONE = DropAbsentEstimate().apply(lower_sampling(SHAPE, ("whole",)), SHAPE)


@pytest.mark.parametrize(
    ("program", "kind", "damage"),
    [
        (FULL, JoinEstimate, {"image": "c_in"}),
        (FULL, JoinEstimate, {"target": SHAPE.brick("windows").layout}),
        (FULL, JoinEstimate, {"coordinates": "row_column"}),
        (GOOD, Partition, {"coordinates": "column_row"}),
        (FULL, EmbedFolded, {"coordinates": "none"}),
        (FULL, EmbedFolded, {"count": 2}),
        (FULL, EmbedFolded, {"first": -1}),
        (FULL, ModulateTogether, {"bricks": ("windows", "parts")}),
        (FULL, SplitModulations, {"start": 700}),
        (FULL, SplitModulations, {"outs": ()}),
        (ALONE, EmbedChannels, {"first": 4}),
        (ALONE, EmbedChannels, {"count": 0}),
    ],
)
def test_operations_of_passes_that_do_not_fit_are_refused(program: Any, kind: Any, damage: Any):
    verify_program(program, SHAPE)
    ops = tuple(replace(op, **damage) if isinstance(op, kind) else op for op in program.ops)
    with pytest.raises(RunError, match="is not valid"):
        verify_program(replace(program, ops=ops), SHAPE)


def test_inputs_and_outputs_of_operations():
    op = ScaleImage(image="x", scale="c_in", out="y")
    assert (inputs_of(op), outputs_of(op)) == (("x", "c_in"), ("y",))
    precondition = next(op for op in GOOD.ops if op.name == "precondition")
    split = SplitModulations(brick="parts", joined="all", start=0, outs=("first", "last"))
    assert (inputs_of(split), outputs_of(split)) == (("all",), ("first", "last"))
    assert inputs_of(precondition) == ("x", "windows.network", "c_skip", "c_out")


DAMAGES: list[Callable[[Any], object]] = [
    lambda data: data.pop("ops"),
    lambda data: data.update(surprise=1),
    lambda data: data["ops"][0].update(op="exec"),
    lambda data: data["ops"][0].update(sigma_data="0.5"),
    lambda data: data["inputs"].append("x"),
    lambda data: data.update(bricks="whole"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_json_is_refused_in_words(damage: Any):
    data = codec.encode(GOOD)
    damage(data)
    with pytest.raises(RunError, match=r"manifest\.json"):
        codec.decode(Program, data, where="manifest.json")
