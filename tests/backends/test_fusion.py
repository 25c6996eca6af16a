"""What a compiled block is made of: a change that breaks a fusion is seen here, not in a benchmark."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import torch

from legoc_runtime.backends.inductor import free_sizes
from legoc_runtime.backends.regions import run_block
from legoc_runtime.contract.attention_rule import AttentionForm
from legoc_runtime.contract.gelu_rule import GeluForm
from tests.stacks import random_store, stack


@dataclass
class Made:
    """What one block became.

    Attributes:
        kernels: names of the fused kernels, in order, made of the operations in them.
        products: calls of a matrix product of the library.
        biased: how many of them write a bias first.
        attentions: calls of PyTorch's attention.
        regions: parallel regions; one inside a loop is entered thousands of times, and each entry waits for all cores.
    """

    kernels: list[str]
    products: int
    biased: int
    attentions: int
    regions: int


def made(brick: str, attention: AttentionForm, gelu: GeluForm) -> Made:
    from torch._inductor.utils import run_and_get_code

    store = random_store(stack())
    block = store.get_submodule(f"brick_{brick}.blocks.0")
    tokens = {"windows": (3, 64, 4, 32), "whole": (3, 1, 256, 32)}[brick]
    arguments = torch.randn(tokens), torch.randn(3, 6 * 32)
    free_sizes(*arguments)
    with torch.no_grad():
        compiled = torch.compile(lambda *given: run_block(block.attn, block.mlp, *given, attention, gelu))
        _, (code,) = run_and_get_code(compiled, *arguments)
    calls = code[code.index("def call(") :]
    return Made(
        kernels=re.findall(r"^cpp_fused_(\w+) = async", code, re.MULTILINE),
        products=len(re.findall(r"extern_kernels\.(?:addmm|mm|bmm)\(", calls)),
        biased=calls.count("extern_kernels.addmm("),
        attentions=calls.count("scaled_dot_product_flash_attention_for_cpu.default("),
        regions=code.count("#pragma omp parallel"),
    )


def expected_regions(kernels: int) -> int:
    return kernels if torch.get_num_threads() > 1 else 0


@pytest.mark.compiler
def test_a_block_is_four_products_an_attention_and_four_passes_over_memory():
    block = made("whole", "sdpa", "sigmoid")
    assert (block.products, block.attentions) == (4, 1)
    assert block.biased == 1  # PyTorch's attention follows the first product: no loop of ours could add its bias
    normed, attended, activated, mixed = block.kernels
    assert "native_layer_norm" in normed  # and modulate
    assert "native_layer_norm" in attended  # gate and residual of the attention, then LN and modulate of the MLP
    assert "sigmoid" in activated
    assert "layer_norm" not in mixed  # gate and residual of the MLP
    assert block.regions == expected_regions(4)


@pytest.mark.compiler
def test_attention_by_products_is_one_more_pass():
    block = made("windows", "products", "sigmoid")
    assert (block.products, block.biased, block.attentions) == (4, 0, 0)
    assert len(block.kernels) == 5
    assert "softmax" in block.kernels[1]
    assert block.regions == expected_regions(5)
    # a scale right before the softmax makes inductor look for infinities, element by element, in a loop of its own
    assert not {"abs", "ne", "where"} & set(block.kernels[1].split("_"))
