"""The two parts of a sampling program: their texts, and that together they are the program."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from legoc.lower.program import lower_sampling
from legoc_runtime.contract.program import Partition, Tokens, inputs_of
from legoc_runtime.contract.program_text import to_text
from legoc_runtime.errors import RunError
from legoc_runtime.link.link import bricks_in, link
from legoc_runtime.link.split import split
from tests.stacks import batch, random_store, stack

TWO = stack(windows=(4, 8), grid=(8, 8), depths=(1, 1), widths=(8, 8), receptive_fields=(2, 4))

CONDITIONING = """\
program windows/conditioning(%sigma: scalar, %label: label[5]) {
  %c_skip: scalar, %c_out: scalar, %c_in: scalar, %c_noise: scalar = edm_scales(%sigma) {sigma_data=0.5}
  %condition: vector[8] = condition(%c_noise, %label) {form=table, time_scale=1.0}
  %windows.0.modulation: vector[48] = modulate(%condition) {brick=windows, block=0}
  %windows.final.modulation: vector[16] = modulate(%condition) {brick=windows}
  return c_skip=%c_skip, c_out=%c_out, c_in=%c_in, \
windows.0.modulation=%windows.0.modulation, windows.final.modulation=%windows.final.modulation
}
"""

BODY_ARGUMENTS = """\
program windows(%x: image[3x8x8], %c_skip: scalar, %c_out: scalar, %c_in: scalar, \
%windows.0.modulation: vector[48], %windows.final.modulation: vector[16]) {
"""


def test_the_conditioning_part_is_what_levels_and_labels_decide():
    parts = split(lower_sampling(TWO, ("windows",)), TWO)
    assert to_text(parts.conditioning) == CONDITIONING
    assert to_text(parts.body).startswith(BODY_ARGUMENTS)
    assert parts.crossing == tuple(name for name, _ in parts.conditioning.outputs)


@pytest.mark.parametrize("configuration", [("windows",), ("parts",), ("windows", "parts")], ids="+".join)
def test_every_operation_goes_to_one_part_and_the_body_reads_no_level(configuration):
    program = lower_sampling(TWO, configuration)
    parts = split(program, TWO)
    assert set(parts.conditioning.ops).isdisjoint(parts.body.ops)
    assert set(parts.conditioning.ops) | set(parts.body.ops) == set(program.ops)
    assert not {"sigma", "label"} & {value for op in parts.body.ops for value in inputs_of(op)}
    assert parts.body.outputs == program.outputs


@pytest.mark.parametrize("carry", ["x0", "raw"])
@pytest.mark.parametrize("classes", [5, None])
@pytest.mark.parametrize("runs", [("windows", "parts", "whole"), ("parts", "whole"), ("windows",)], ids="+".join)
def test_the_parts_together_are_the_program_bit_by_bit(runs, classes, carry):
    shape = stack(classes=classes, carry=carry)
    store = random_store(shape)
    program = lower_sampling(shape, runs)
    parts = split(program, shape)
    x, *rest = batch(shape)
    with torch.no_grad():
        body = link(parts.body, store)
        result = body(x, *link(parts.conditioning, store)(*rest))
        assert torch.equal(result, link(program, store)(x, *rest))
    assert bricks_in(body) == runs


def test_a_level_that_the_body_reads_itself_crosses_as_it_is():
    program = lower_sampling(TWO, ("windows",))
    scaled = next(op for op in program.ops if op.name == "scale_image")
    own = replace(program, ops=tuple(replace(op, scale="sigma") if op is scaled else op for op in program.ops))
    parts = split(own, TWO)
    assert parts.crossing[0] == "sigma"
    assert parts.body.inputs[1][0] == "sigma"
    x, sigma, label = batch(TWO)
    store = random_store(TWO)
    with torch.no_grad():
        values = link(parts.conditioning, store)(sigma, label)
        assert torch.equal(link(parts.body, store)(x, *values), link(own, store)(x, sigma, label))


def test_a_constant_stands_where_it_is_read_and_never_crosses():
    """An operation that reads nothing has no image axis, so it cannot become a row of a table."""
    program = lower_sampling(TWO, ("windows",))
    first = next(op for op in program.ops if isinstance(op, Partition))
    constant = replace(first, images=(), out="constant")
    unread = replace(first, images=(), out="unread")
    ops = tuple(replace(op, images=("x.scaled", "constant")) if op is first else op for op in program.ops)
    type = Tokens(4, 4, 8)
    changed = replace(program, ops=(constant, unread, *ops), types={**program.types, "constant": type, "unread": type})
    parts = split(changed, TWO)
    assert constant in parts.body.ops
    assert constant not in parts.conditioning.ops
    assert unread not in (*parts.body.ops, *parts.conditioning.ops)
    assert "constant" not in parts.crossing


def test_a_program_that_is_not_valid_is_refused():
    program = lower_sampling(TWO, ("windows",))
    with pytest.raises(RunError, match="before it is defined"):
        split(replace(program, ops=program.ops[::-1]), TWO)
