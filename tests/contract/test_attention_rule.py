"""The rule that chooses the form of attention, and its reason in words."""

from __future__ import annotations

from legoc_runtime.contract.attention_rule import attention_form, why


def test_only_short_windows_under_a_compiler_take_products():
    assert attention_form(4, device="cpu", fused=True) == "products"
    assert attention_form(8, device="cpu", fused=True, training=True) == "products"
    assert attention_form(4, device="cpu", fused=False) == "sdpa"
    assert attention_form(16, device="cpu", fused=True) == "sdpa"  # benchmarks/2026-11-23_short-windows_2-core-cpu.md
    assert attention_form(256, device="cpu", fused=True) == "sdpa"


def test_the_reason_names_window_and_bound():
    assert why(4, device="cpu", fused=True) == (
        "products: windows of 4 tokens are short, a compiler fuses their products on cpu (up to 8)"
    )
    assert why(9, device="cuda", fused=True).startswith("sdpa: windows of 9 tokens are long enough")
    assert why(1, device="cpu", fused=False, training=True) == (
        "sdpa: nothing fuses element-wise products of windows of 1 token in eager training"
    )
