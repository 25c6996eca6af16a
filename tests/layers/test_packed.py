"""The packed attention kernels: numbers in Triton's interpreter, machine code, and where they are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from legoc_runtime.layers.attention import attend_windows

BOUNDS = {"float32": (2e-6, 4e-6), "bfloat16": (2e-2, 5e-2), "float16": (3e-3, 8e-3)}


@pytest.mark.triton
def test_the_kernels_agree_with_sdpa_in_float64():
    script = Path(__file__).with_name("packed_cases.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(cases) == 10
    for case in cases:
        forward, backward = BOUNDS[case["dtype"]]
        assert case["forward"] < forward, case
        assert case["backward"] < backward, case
        assert case["types"] == [f"torch.{case['dtype']}"] * 2, case


@pytest.mark.triton
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch.export's own
def test_export_sees_the_kernel_for_any_batch():
    from legoc_runtime.layers.kernels.packed import packed_attention

    class Attend(torch.nn.Module):
        def forward(self, qkv):
            return packed_attention(qkv, 2)

    batch = torch.export.Dim("batch", min=2, max=1 << 20)
    exported = torch.export.export(Attend(), (torch.randn(3, 5, 4, 96),), dynamic_shapes={"qkv": {0: batch}})
    assert "legoc.packed_attention.default" in {str(node.target) for node in exported.graph.nodes}
    inside = [
        node
        for node in exported.run_decompositions(decompose_custom_triton_ops=True).graph.nodes
        if "triton_kernel" in str(node.target)
    ]
    assert len(inside) == 1
    ((programs, *_),) = inside[0].kwargs["grid"]
    assert isinstance(programs, torch.fx.Node)  # a function of the batch, not a number


@pytest.mark.triton
@pytest.mark.parametrize("tokens", [4, 16])
@pytest.mark.parametrize("head_dim", [64, 72])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_machine_code_for_an_h100_spills_no_registers(tokens, head_dim, dtype, tmp_path):
    from legoc_runtime.layers.kernels.packed import backward_launch, forward_launch
    from tests.layers.machine_code import copied, spilled_bytes

    for launch in (f(tokens, head_dim, dtype.itemsize) for f in (forward_launch, backward_launch)):
        assert spilled_bytes(copied(launch, tmp_path), tokens, head_dim, dtype) == 0, launch


def test_packed_is_refused_where_its_kernels_cannot_be_compiled():
    if torch.version.cuda is not None:
        pytest.skip("this PyTorch is built with CUDA")
    with pytest.raises(ValueError, match="this PyTorch is built without CUDA"):
        attend_windows(torch.randn(1, 1, 4, 96), 2, "packed")


@pytest.mark.gpu
@pytest.mark.parametrize("tokens", [1, 4, 9, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_agrees_with_sdpa_on_cuda(tokens, dtype):
    qkv = torch.randn(3, 7, tokens, 3 * 2 * 72, device="cuda", dtype=dtype).requires_grad_()
    exact_qkv = qkv.detach().double().requires_grad_()
    packed, exact = attend_windows(qkv, 2, "packed"), attend_windows(exact_qkv, 2, "sdpa")
    grad = torch.randn_like(packed)
    (ours,) = torch.autograd.grad(packed, qkv, grad)
    (theirs,) = torch.autograd.grad(exact, exact_qkv, grad.double())
    forward, backward = BOUNDS[str(dtype).removeprefix("torch.")]
    assert (packed.double() - exact).abs().max() < forward
    assert (ours.double() - theirs).abs().max() < backward


@pytest.mark.gpu
def test_more_windows_than_a_grid_axis_holds():
    qkv = torch.randn(70_000, 1, 4, 3 * 32, device="cuda", dtype=torch.bfloat16)
    out = attend_windows(qkv, 2, "packed")
    torch.testing.assert_close(out[-4:], attend_windows(qkv[-4:], 2, "sdpa"), rtol=0, atol=2e-2)
    assert bool(out.isfinite().all())


@pytest.mark.gpu
def test_compiled_code_holds_the_kernel_and_its_gradient():
    def loss(qkv):
        return attend_windows(qkv * 2, 2, "packed").square().mean()

    qkv = torch.randn(2, 5, 4, 96, device="cuda").requires_grad_()
    (plain,) = torch.autograd.grad(loss(qkv), qkv)
    (compiled,) = torch.autograd.grad(torch.compile(loss, fullgraph=True)(qkv), qkv)
    torch.testing.assert_close(compiled, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
def test_what_the_kernels_do_not_take_goes_through_sdpa():
    qkv = torch.randn(1, 3, 4, 96, device="cuda", dtype=torch.float64)
    assert torch.equal(attend_windows(qkv, 2, "packed"), attend_windows(qkv, 2, "sdpa"))
