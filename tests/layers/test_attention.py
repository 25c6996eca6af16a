"""The forms of attention agree; very many windows work."""

from __future__ import annotations

import pytest
import torch

from legoc_runtime.layers import attention
from legoc_runtime.layers.attention import attend_windows


@pytest.mark.parametrize("tokens", [1, 4, 16])
def test_forms_agree(tokens):
    qkv = torch.randn(2, 3, tokens, 3 * 24, dtype=torch.float64)
    sdpa, products = (attend_windows(qkv, 4, form) for form in ("sdpa", "products"))
    torch.testing.assert_close(sdpa, products, rtol=0, atol=1e-14)


def test_more_windows_than_a_cuda_grid_holds_are_cut_into_chunks(monkeypatch):
    qkv = torch.randn(5, 7, 2, 3 * 8)
    whole = attend_windows(qkv, 2, "sdpa")
    monkeypatch.setattr(attention, "MAX_SDPA_WINDOWS", 4)
    torch.testing.assert_close(attend_windows(qkv, 2, "sdpa"), whole)
