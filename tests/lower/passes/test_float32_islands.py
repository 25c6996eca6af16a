"""`float32-islands` on the text of programs, and what it is worth in 16 bits."""

from __future__ import annotations

import pytest
import torch

from legoc.lower.passes.float32_islands import Float32Islands
from legoc.lower.pipeline import choose, sampling_program
from legoc.lower.program import lower_sampling
from legoc_runtime.link.link import argument_dtype, link
from tests.lower.passes.cases import SMALL, applied, changed_lines
from tests.stacks import batch, random_store

LEVELS = torch.tensor([0.002, 0.05, 0.5, 5.0, 80.0])


def test_pixels_are_narrow_inside_a_brick_and_wide_outside():
    before = lower_sampling(SMALL, ("windows",))
    gone, new = changed_lines(before, applied(before, SMALL, [Float32Islands()]))
    assert gone == [
        "%windows.tokens: tokens[64x4x32] = embed(%windows.pixels) {brick=windows}",
        "%windows.network: image[3x32x32] = merge(%windows.decoded) "
        "{brick=windows, grid=32x32, window=4x4, receptive_field=2}",
    ]
    assert new == [
        "%windows.narrow: tokens[64x4x20] = cast(%windows.pixels) {to=weights}",
        "%windows.tokens: tokens[64x4x32] = embed(%windows.narrow) {brick=windows}",
        "%windows.wide: tokens[64x4x12] = cast(%windows.decoded) {to=state}",
        "%windows.network: image[3x32x32] = merge(%windows.wide) "
        "{brick=windows, grid=32x32, window=4x4, receptive_field=2}",
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_is_cast_where_the_weights_are_wide(dtype):
    store = random_store(SMALL, dtype=dtype)
    with_casts = applied(lower_sampling(SMALL, SMALL.ids), SMALL, [Float32Islands()])
    assert link(with_casts, store).code == link(lower_sampling(SMALL, SMALL.ids), store).code
    assert argument_dtype(with_casts, store) is dtype


def errors(dtype: torch.dtype, disabled: tuple[str, ...]) -> torch.Tensor:
    """Largest error of the network at each level, in units of c_out, against the same weights in float32."""
    narrow, wide = random_store(SMALL, dtype=dtype), random_store(SMALL)
    wide.load({key: weight.detach().float() for key, weight in narrow.weights.items()})
    program = sampling_program(SMALL, SMALL.ids, choose(disable=disabled))
    noise, _, label = batch(SMALL, len(LEVELS))
    x = noise.flip(0).clamp(-1, 1) + LEVELS[:, None, None, None] * noise
    taken = argument_dtype(program, narrow)
    with torch.no_grad():
        ours = link(program, narrow)(x.to(taken), LEVELS.to(taken), label)
        exact = link(program, wide)(x, LEVELS, label)
    assert ours.dtype is taken
    c_out = LEVELS * 0.5 / (LEVELS**2 + 0.25).sqrt()
    return (ours.float() - exact).abs().amax(dim=(1, 2, 3)) / c_out


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_16_bits_cost_the_network_some_roundings_and_the_estimate_nothing_more(dtype):
    """The estimate is c_skip x + c_out F: with x in float32, only the roundings of F remain, at every noise level."""
    eps = torch.finfo(dtype).eps
    assert errors(dtype, ()).max() < 4 * eps
    without = errors(dtype, ("float32-islands",))
    # x itself is rounded then, which weighs 1 / c_out where the image is nearly clean
    assert without[0] > 100 * eps


def test_statistics_and_softmax_of_16_bits_are_summed_in_float32():
    """PyTorch's operations do so by themselves, and the formulas must not undo it: 16 bits cannot sum these numbers."""
    tokens = (torch.randn(1, 1, 4, 4096, generator=torch.Generator().manual_seed(0)) + 30).to(torch.bfloat16)
    exact = torch.nn.functional.layer_norm(tokens.double(), (4096,), eps=1e-6)
    ours = torch.nn.functional.layer_norm(tokens, (4096,), eps=1e-6)
    assert (ours.double() - exact).abs().max() < 4 * torch.finfo(torch.bfloat16).eps
    logits = torch.zeros(1, 4096, dtype=torch.bfloat16)
    assert float(logits.softmax(-1).sum()) == pytest.approx(1, abs=0.01)
    q, v = torch.zeros(1, 1, 4096, 8, dtype=torch.bfloat16), torch.ones(1, 1, 4096, 8, dtype=torch.bfloat16)
    mixed = torch.nn.functional.scaled_dot_product_attention(q, q, v)
    assert (mixed - 1).abs().max() < 0.01
