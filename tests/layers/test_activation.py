"""The forms of the tanh GELU are one function; the epilogue is never taken where it would be another one."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.functional import gelu

from legoc_runtime.contract.gelu_rule import gelu_form, why_gelu
from legoc_runtime.layers import activation
from legoc_runtime.layers.activation import gelu_sigmoid, linear_gelu


def values(dtype: torch.dtype) -> torch.Tensor:
    near_zero = torch.logspace(-30, 0, 400, dtype=torch.float64)
    return torch.cat([torch.linspace(-20, 20, 40_001, dtype=torch.float64), near_zero, -near_zero]).to(dtype)


def test_the_sigmoid_form_is_the_same_function():
    h = values(torch.float64)
    torch.testing.assert_close(gelu_sigmoid(h), gelu(h, approximate="tanh"), rtol=1e-14, atol=1e-14)
    assert (gelu_sigmoid(h) - gelu(h)).abs().max() > 4e-4  # and not the erf form


def test_the_sigmoid_form_has_the_same_gradient():
    h = values(torch.float64).requires_grad_()
    (ours,) = torch.autograd.grad(gelu_sigmoid(h).sum(), h)
    (theirs,) = torch.autograd.grad(gelu(h, approximate="tanh").sum(), h)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    assert torch.autograd.gradcheck(gelu_sigmoid, torch.linspace(-4, 4, 33, dtype=torch.float64).requires_grad_())


@pytest.mark.parametrize(
    ("dtype", "relative"), [(torch.float32, 2e-6), (torch.bfloat16, 2.0**-8), (torch.float16, 2.0**-11)]
)
def test_the_sigmoid_form_is_accurate_in_every_type(dtype, relative):
    h = values(dtype)
    exact = gelu_sigmoid(h.double())
    # below -4 the exponential amplifies the rounding of h^3; there the result itself is below 1.3e-4
    error = (gelu_sigmoid(h).double() - exact).abs()
    assert (error <= relative * exact.abs() + torch.finfo(dtype).smallest_normal)[h > -4].all()
    assert error[h <= -4].max() < max(1e-9, 1.3e-4 * relative)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_large_values_stay_finite_with_finite_gradients(dtype):
    limit = min(torch.finfo(dtype).max, 1e18)
    h = torch.tensor([-limit, -300.0, -41.0, 41.0, 300.0, limit], dtype=torch.float64).to(dtype).requires_grad_()
    activated = gelu_sigmoid(h)
    (gradient,) = torch.autograd.grad(activated.sum(), h)
    assert torch.equal(activated, torch.where(h > 0, h, 0.0))
    assert torch.equal(gradient, (h > 0).to(dtype))


def test_the_epilogue_is_refused_off_cuda():
    with pytest.raises(ValueError, match="on CUDA alone, not on cpu"):
        linear_gelu(torch.nn.Linear(3, 4), torch.ones(2, 3), "epilogue")


def test_the_epilogue_is_one_opaque_operation_with_the_product_s_shape():
    layer = torch.nn.Linear(3, 4)

    def traced(x, weight, bias):
        return activation.linear_gelu_epilogue(x, weight, bias)

    with FakeTensorMode():
        graph = make_fx(traced)(torch.empty(2, 5, 3), torch.empty(4, 3), torch.empty(4)).graph
    (call,) = (node for node in graph.nodes if node.op == "call_function")
    assert call.target is torch.ops.legoc.linear_gelu_epilogue.default
    assert tuple(call.meta["val"].shape) == (2, 5, 4)
    # on a CPU PyTorch's operation is the erf form: not ours, and enough to check rows, columns and bias
    x = torch.randn(2, 5, 3)
    with torch.no_grad():
        result = activation.linear_gelu_epilogue._init_fn(x, layer.weight, layer.bias)
        torch.testing.assert_close(result, gelu(layer(x)))


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)])
def test_the_epilogue_is_the_tanh_form_on_cuda(dtype, bound):
    layer = torch.nn.Linear(64, 256, device="cuda", dtype=dtype)
    x = torch.randn(2, 16, 4, 64, device="cuda", dtype=dtype)
    wide = torch.nn.Linear(64, 256, device="cuda", dtype=torch.float64)
    wide.load_state_dict(layer.state_dict())
    with torch.no_grad():
        exact = linear_gelu(wide, x.double(), "call")
        for form in ("call", "sigmoid", "epilogue"):
            assert (linear_gelu(layer, x, form).double() - exact).abs().max() < bound


def test_the_rule_names_a_form_and_the_reason():
    assert gelu_form(device="cpu", fused=True) == gelu_form(device="cpu", fused=True, training=True) == "sigmoid"
    assert gelu_form(device="cpu", fused=False) == "call"
    assert gelu_form(device="cuda", fused=True) == gelu_form(device="cuda", fused=False) == "epilogue"
    assert gelu_form(device="cuda", fused=True, training=True) == "call"
    assert gelu_form(device="cuda", fused=True, python_ops=False) == "call"
    assert why_gelu(device="cuda", fused=True, training=True) == (
        "call: the matrix product's epilogue has no derivative"
    )
