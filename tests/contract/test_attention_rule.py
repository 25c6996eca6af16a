"""The rule that chooses the form of attention, and its reason in words."""

from __future__ import annotations

import pytest

from legoc_runtime.contract.attention_rule import attention_form, why


def test_on_a_cpu_only_short_windows_under_a_compiler_take_products():
    assert attention_form(4, device="cpu", fused=True) == "products"
    assert attention_form(12, device="cpu", fused=True, training=True) == "products"
    assert attention_form(4, device="cpu", fused=False) == "sdpa"
    assert (
        attention_form(16, device="cpu", fused=True) == "sdpa"
    )  # benchmarks/2026-11-23_short-windows-key-by-key_2-core-cpu.md
    assert attention_form(256, device="cpu", fused=True) == "sdpa"


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_on_cuda_windows_of_up_to_16_tokens_take_the_packed_kernels(fused, training):
    assert attention_form(16, device="cuda", fused=fused, training=training) == "packed"
    assert attention_form(17, device="cuda", fused=fused, training=training) == "sdpa"
    assert attention_form(4, device="cuda", fused=fused, training=training, kernels=False) == "sdpa"


def test_the_reason_names_window_and_bound():
    assert why(4, device="cpu", fused=True) == (
        "products: windows of 4 tokens are short, a compiler fuses their products (up to 12)"
    )
    assert why(1, device="cpu", fused=False, training=True) == (
        "sdpa: nothing fuses element-wise products of windows of 1 token in eager training"
    )
    assert why(4, device="cuda", fused=True) == (
        "packed: windows of 4 tokens leave PyTorch's kernels mostly empty (up to 16)"
    )
    assert "there is no Triton" in why(4, device="cuda", fused=True, kernels=False)
