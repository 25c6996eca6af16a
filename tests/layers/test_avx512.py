"""The block for AVX-512: its numbers against the leaves in float64, its bits over chunks, threads and batches."""

from __future__ import annotations

import copy
import threading
from importlib import import_module

import pytest
import torch

from legoc_runtime.contract.stack import BrickShape
from legoc_runtime.errors import RunError
from legoc_runtime.layers.avx512 import avx512_lack, block
from legoc_runtime.layers.avx512.block import avx512_block, chunk_of, run_block, wave_of
from legoc_runtime.layers.leaves import Attend, Mlp

runs = pytest.mark.skipif(avx512_lack() is not None, reason=str(avx512_lack()))

# images, windows, tokens of a window, width, heads, hidden: every form of attention, widths and heads that leave rests
CASES = [
    (3, 4, 1, 48, 4, 80),
    (3, 5, 2, 48, 3, 80),
    (3, 16, 4, 32, 4, 128),
    (3, 3, 8, 64, 4, 256),
    (2, 3, 16, 32, 2, 128),
    (2, 3, 48, 32, 2, 100),
    (3, 1, 80, 112, 4, 432),
    (2, 2, 64, 96, 2, 112),
    (2, 1, 256, 64, 4, 256),
]


def leaves(width: int, heads: int, hidden: int, tokens: int, *, seed: int = 0) -> tuple[Attend, Mlp]:
    shape = BrickShape(
        id="brick", window=(tokens, 1), grid=(tokens, 1), receptive_field=1, depth=1, width=width, heads=heads,
        mlp_ratio=hidden / width, channels=3, coordinates=0, takes_estimate=False, condition_width=width,
    )  # fmt: skip
    attend, mlp = Attend(shape), Mlp(shape)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in (*attend.parameters(), *mlp.parameters()):
            weight.copy_(torch.randn(weight.shape, generator=generator) / max(1, weight[0].numel()) ** 0.5)
    return attend, mlp


def given(images: int, windows: int, tokens: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens_NWLD = torch.randn(images, windows, tokens, width, generator=generator)
    return tokens_NWLD, torch.randn(images, 6 * width, generator=generator)


@pytest.mark.compiler
@runs
@pytest.mark.parametrize("case", CASES, ids=str)
@torch.no_grad()
def test_it_is_as_close_to_float64_as_the_library_and_the_same_bits_however_it_is_cut(case, monkeypatch):
    images, windows, length, width, heads, hidden = case
    attend, mlp = leaves(width, heads, hidden, length)
    tokens, modulation = given(images, windows, length, width)
    found = run_block(attend, mlp, tokens, modulation)
    wide = [copy.deepcopy(leaf).double() for leaf in (attend, mlp)]
    exact = wide[1](wide[0](tokens.double(), modulation.double()), modulation.double())
    library = mlp(attend(tokens, modulation), modulation)
    assert (found - exact).abs().max() <= 3 * (library - exact).abs().max() + 1e-6

    assert torch.equal(run_block(attend, mlp, tokens[:1], modulation[:1])[0], found[0])
    for chunk in (16, 32, 64, 128, 192):
        monkeypatch.setattr(block, "chunk_of", lambda rows, threads, chunk=chunk: chunk)
        for chunks in (1, 4):
            monkeypatch.setattr(block, "CHUNKS_A_WAVE", chunks)
            assert torch.equal(run_block(attend, mlp, tokens, modulation), found)


@pytest.mark.compiler
@runs
@torch.no_grad()
def test_threads_change_no_bit_and_one_row_of_modulation_serves_all_images():
    attend, mlp = leaves(32, 2, 128, 16)
    tokens, modulation = given(4, 9, 16, 32)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(run_block(attend, mlp, tokens, modulation))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    one = run_block(attend, mlp, tokens, modulation[:1])
    assert torch.equal(one, run_block(attend, mlp, tokens, modulation[:1].expand(4, -1)))
    assert run_block(attend, mlp, tokens[:0], modulation[:0]).shape == (0, 9, 16, 32)


@pytest.mark.compiler
@runs
@torch.no_grad()
def test_large_numbers_saturate_and_no_number_stays_none():
    attend, mlp = leaves(32, 2, 128, 32)
    tokens, modulation = given(1, 1, 32, 32)
    for layer in (attend.qkv, mlp.fc1):
        layer.weight.mul_(60)  # one key has all the weight; GELU is 0 or its argument
    found, library = run_block(attend, mlp, tokens, modulation), mlp(attend(tokens, modulation), modulation)
    torch.testing.assert_close(found, library, rtol=1e-3, atol=1e-3)
    tokens[0, 0, 3, 5] = torch.nan
    assert run_block(attend, mlp, tokens, modulation).isnan().all()


@pytest.mark.compiler
@runs
@torch.no_grad()
def test_it_is_an_operation_that_compilers_and_profilers_see():
    attend, mlp = leaves(32, 2, 128, 4)
    layers = (attend.qkv, attend.proj, mlp.fc1, mlp.fc2)
    weights = [tensor.detach() for layer in layers for tensor in (layer.weight, layer.bias)]
    arguments = (*given(2, 4, 4, 32), weights, 2)
    torch.library.opcheck(avx512_block, arguments, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.compiler
@runs
@torch.no_grad()
def test_defaults_of_the_process_do_not_change_where_it_works(monkeypatch):
    monkeypatch.setattr(block, "_kept", threading.local())
    attend, mlp = leaves(32, 2, 128, 16)
    arguments = given(2, 3, 16, 32)
    found = run_block(attend, mlp, *arguments)
    monkeypatch.setattr(block, "_kept", threading.local())
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            again = run_block(attend, mlp, *arguments)
    finally:
        torch.set_default_dtype(torch.float32)
    assert (block._kept.workspace.dtype, block._kept.workspace.device.type) == (torch.float32, "cpu")
    assert torch.equal(again, found)


@torch.no_grad()
def test_what_the_code_would_read_outside_of_is_refused():
    attend, mlp = leaves(32, 2, 128, 16)
    tokens, modulation = given(2, 3, 16, 32)
    for bad in (
        (attend, mlp, tokens[:, :, :9], modulation),
        (attend, mlp, tokens[..., :24], modulation[:, : 6 * 24]),
        (attend, mlp, tokens.repeat(2, 1, 1, 1), modulation),
        (attend, leaves(16, 2, 128, 16)[1], tokens, modulation),
        (attend, mlp, tokens.double(), modulation),
    ):
        with pytest.raises(ValueError, match="does not take 2 heads with float"):
            run_block(*bad)
    attend.heads = 3
    with pytest.raises(ValueError, match="does not take 3 heads"):
        run_block(attend, mlp, tokens, modulation)


@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("rows", [1, 16, 128, 1024, 2048, 40000])
def test_a_wave_is_of_whole_windows_and_chunks_and_every_thread_has_work(rows, threads):
    chunk = chunk_of(rows, threads)
    assert chunk % 16 == 0
    assert chunk == 16 or -(-rows // chunk) >= min(threads, -(-rows // 64))
    for window in (4, 48, 256, 1024):
        wave = wave_of(rows, window, chunk, threads)
        assert wave % chunk == 0
        assert wave >= rows or wave % window == 0
        assert wave < rows + chunk


def test_a_compiler_that_fails_is_said_in_words(monkeypatch):
    error = import_module("torch._inductor.exc").CppCompileError

    def load(*_: object, **__: object) -> None:
        raise error(["g++", "block.cpp"], "block.cpp: unknown register")

    monkeypatch.setattr(import_module("torch._inductor.codecache").CppCodeCache, "load", load)
    with pytest.raises(RunError, match="could not be compiled") as raised:
        block._library.__wrapped__()
    assert "ATEN_CPU_CAPABILITY=avx2" in str(raised.value.help)


def test_caches_tell_processors_apart(monkeypatch):
    sources = []
    for known in ({"avx512_f": True, "avx512_fp16": True}, {"avx512_f": True, "avx512_fp16": False}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known)
        sources.append(block._source())
    assert sources[0].startswith("// for avx512_f avx512_fp16\n")
    assert sources[1].startswith("// for avx512_f\n")
