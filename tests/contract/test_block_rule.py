"""The rule that chooses how a block runs, and its reason in words."""

from __future__ import annotations

import pytest

from legoc_runtime.contract.block_rule import block_form, why_block


@pytest.mark.parametrize("tokens", [1, 4, 16, 48, 256, 1024])
def test_windows_that_divide_a_register_or_fill_registers_take_the_kernel(tokens):
    assert block_form(384, tokens, device="cpu") == "avx512"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cuda"}, "for CPUs"),
        ({"training": True}, "no backward pass"),
        ({"dtype": "bfloat16"}, "in float32, not bfloat16"),
        ({"width": 40}, "40 features of a token do not fill registers of 16"),
        ({"tokens": 9}, "windows of 9 tokens neither divide 16 lanes nor fill them"),
        ({"tokens": 24}, "windows of 24 tokens"),
        ({"lack": "the processor has none"}, "the processor has none"),
    ],
)
def test_everything_else_is_compiled_and_says_why(change, reason):
    case = {"width": 384, "tokens": 256, "device": "cpu", **change}
    assert block_form(**case) == "compiled"
    assert why_block(**case).startswith("compiled: ")
    assert reason in why_block(**case)
