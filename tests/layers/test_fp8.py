"""Products in 8 bits: the emulation is exact, the error is bounded, and CUDA's call has the layout that it asks for."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import linear

from legoc_runtime.layers import fp8
from legoc_runtime.layers.fp8 import LARGEST, TOLERANCE, fp8_lack, linear_fp8, quantise_rows


def relative(error: torch.Tensor, of: torch.Tensor) -> float:
    return float(error.double().norm() / of.double().norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_keep_their_largest_value_and_zeros(dtype):
    x = torch.randn(5, 64).mul(torch.logspace(-8, 8, 5)[:, None]).to(dtype)
    x[2] = 0
    rows, scale = quantise_rows(x)
    back = rows.float() * scale
    assert rows.dtype is torch.float8_e4m3fn
    assert scale.shape == (5, 1)
    torch.testing.assert_close(back.abs().amax(1), x.float().abs().amax(1), rtol=1e-6, atol=0)
    assert torch.equal(back[2], torch.zeros(64))
    assert rows.float().abs().max() == LARGEST
    # half a step of 3 bits of mantissa, or of the smallest step where values are tiny against their row
    assert ((back - x.float()).abs() <= x.float().abs() / 16 + scale * 2.0**-10).all()


@pytest.mark.parametrize("width", [384, 1152])
def test_a_product_is_within_the_stated_tolerance(width):
    x, weight, bias = torch.randn(2, 3, 4, width), torch.randn(2 * width, width) / width**0.5, torch.randn(2 * width)
    exact = linear(x.double(), weight.double())
    result = linear_fp8(x, *quantise_rows(weight), bias).double() - bias.double()
    assert 0.02 < relative(result - exact, exact) < TOLERANCE


def test_the_emulation_multiplies_the_quantised_factors_exactly():
    x, weight, bias = torch.randn(7, 32), torch.randn(16, 32), torch.randn(16)
    (rows, row_scale), (quantised, scale) = quantise_rows(x), quantise_rows(weight)
    exact = (rows.double() * row_scale) @ (quantised.double() * scale).T + bias
    torch.testing.assert_close(linear_fp8(x, quantised, scale, bias).double(), exact, rtol=1e-6, atol=1e-5)


def test_cuda_is_called_with_rows_scales_and_types_that_it_takes():
    with FakeTensorMode():
        x = torch.empty(2, 3, 4, 64, device="cuda", dtype=torch.bfloat16)
        weight = torch.empty(48, 64, device="cuda", dtype=torch.float8_e4m3fn)
        scale, bias = torch.empty(48, 1, device="cuda"), torch.empty(48, device="cuda", dtype=torch.bfloat16)
        result = linear_fp8(x, weight, scale, bias)  # PyTorch checks layout, scales and types
    assert tuple(result.shape) == (2, 3, 4, 48)
    assert result.dtype is torch.bfloat16


def test_where_it_does_not_pay_it_says_why(monkeypatch):
    assert "not a cpu device" in (fp8_lack(torch.device("cpu"), torch.bfloat16) or "")
    gpu = torch.device("cuda")
    monkeypatch.setattr(fp8.torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert "this GPU has 8.0" in (fp8_lack(gpu, torch.bfloat16) or "")
    monkeypatch.setattr(fp8.torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert "computes in float32" in (fp8_lack(gpu, torch.float32) or "")
    assert fp8_lack(gpu, torch.bfloat16) is None


@pytest.mark.gpu
def test_cuda_gives_the_emulated_numbers():
    device = torch.device("cuda")
    if lack := fp8_lack(device, torch.bfloat16):
        pytest.skip(lack)
    x = torch.randn(300, 1152).bfloat16()
    weight, scale = quantise_rows(torch.randn(4608, 1152) / 34)
    bias = torch.randn(4608).bfloat16()
    here = linear_fp8(x, weight, scale, bias)
    there = linear_fp8(x.to(device), weight.to(device), scale.to(device), bias.to(device)).cpu()
    torch.testing.assert_close(there.float(), here.float(), rtol=1e-2, atol=1e-2)
