"""The inductor backend: regional compilation of Transformer blocks.

A block (attention and MLP halves) is compiled once for each distinct signature and called for every block that has it,
whichever configuration it stands in, so that a further configuration costs nothing to compile. Final layers are
compiled likewise. The embedding, one product, stays as it is, and the rest is a few pure moves a brick. The compiled
callables live in this object and in the modules that it returns; `block.compile()` would change the store's
own modules for everybody.

On CPUs with AVX-512 blocks of samplers run in one kernel of our own instead (`contract/block_rule.py`), and are
compiled only where a gradient is wanted.

Sizes: a block is compiled for every batch and every number of windows at once, so that a further one compiles nothing.
A size of 1 is compiled apart, since it broadcasts. Training compiles for the sizes that it sees.
"""

from __future__ import annotations

import os
import shutil
import sys
import types
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, fx, nn

from legoc_runtime.backends.base import Module
from legoc_runtime.backends.regions import (
    Forms,
    block_signature,
    device_of,
    replace_blocks,
    replace_decoders,
    run_block,
    with_forms,
)
from legoc_runtime.contract.attention_rule import AttentionForm
from legoc_runtime.contract.block_rule import block_form
from legoc_runtime.contract.gelu_rule import GeluForm
from legoc_runtime.contract.native import BlockSignature
from legoc_runtime.errors import RunError
from legoc_runtime.layers.avx512 import avx512_lack
from legoc_runtime.layers.avx512.block import run_block as run_avx512
from legoc_runtime.layers.leaves import Attend, Decode, Mlp

BlockFunction = Callable[[Attend, Mlp, Tensor, Tensor, AttentionForm, GeluForm], Tensor]
DecodeFunction = Callable[[Decode, Tensor, Tensor], Tensor]

CXX = "clang++" if sys.platform == "darwin" else "g++"
"""The one that inductor takes where the environment names none."""

VECTOR_BITS = {"AVX512": 512, "AVX2": 256}
"""What PyTorch calls a processor, or takes it for -> bits of its vectors."""

F = TypeVar("F", bound=Callable[..., Any])

_torch: Any = torch  # torch.compile is only partly typed


class Block(nn.Module):
    """A block of the store run through a compiled function. Holds the store's leaves; owns no weights."""

    def __init__(
        self, attend: Attend, mlp: Mlp, compiled: BlockFunction, signature: BlockSignature, *, free: bool
    ) -> None:
        super().__init__()
        self.attend = attend
        self.mlp = mlp
        self.compiled = compiled
        self.signature = signature
        self.free = free

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:
        """Tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D]."""
        if self.free:
            free_sizes(tokens, modulation)
        form = self.signature
        return self.compiled(self.attend, self.mlp, tokens, modulation, form.attention, form.gelu)


class OwnBlock(nn.Module):
    """A block of the store run in the kernel of our own, or compiled where a gradient is wanted. Owns no weights."""

    def __init__(self, compiled: Block) -> None:
        super().__init__()
        self.compiled = compiled

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:
        """Tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D]."""
        if torch.is_grad_enabled() and any(
            tensor.requires_grad for tensor in (tokens, modulation, *self.compiled.parameters())
        ):
            return self.compiled(tokens, modulation)
        return run_avx512(self.compiled.attend, self.compiled.mlp, tokens, modulation)


class FinalLayer(nn.Module):
    """A final layer of the store run through a compiled function. Owns no weights."""

    def __init__(self, decode: Decode, compiled: DecodeFunction, *, free: bool) -> None:
        super().__init__()
        self.decode = decode
        self.compiled = compiled
        self.free = free

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:
        """Tokens [N, W, L, D], modulation [N, 2*D] to [N, W, L, p*p*C]."""
        if self.free:
            free_sizes(tokens, modulation)
        return self.compiled(self.decode, tokens, modulation)


class Inductor:
    """Compiles blocks with torch.compile, once a signature.

    Args:
        attention: the form of every attention; None goes by the rule.
        gelu: the form of every GELU; None goes by the rule.
        regions: compile block by block; False compiles a whole configuration at once, which costs much more time to
            compile and is there to be compared with.
        own_blocks: run blocks in the kernel of our own where the rule says so; False compiles them all, and so does a
            form that is given, since the kernel has its own.
    """

    name = "inductor"

    def __init__(
        self,
        *,
        attention: AttentionForm | None = None,
        gelu: GeluForm | None = None,
        regions: bool = True,
        own_blocks: bool = True,
    ) -> None:
        self.attention: AttentionForm | None = attention
        self.gelu: GeluForm | None = gelu
        self.regions = regions
        self.own_blocks = own_blocks and attention is None and gelu is None
        self._blocks: dict[tuple[BlockSignature, bool], BlockFunction] = {}
        self._decoders: dict[tuple[int, int, str, bool], DecodeFunction] = {}

    def available(self) -> str | None:
        """None, or that there is no compiler: of C++ for code on CPUs, of C for what launches Triton's kernels.

        Where the environment names a compiler, PyTorch and Triton look for no other.
        """
        cuda = torch.cuda.is_available()
        language, variable, known = ("C", "CC", ("gcc", "clang")) if cuda else ("C++", "CXX", (CXX,))
        named = os.environ.get(variable)
        if any(shutil.which(compiler) for compiler in ([named] if named is not None else known)):
            return None
        lack = f"there is no {language} compiler ({' or '.join(known)})"
        return lack if named is None else f"{variable} names the {language} compiler `{named}`, which is not there"

    def compile(self, module: fx.GraphModule, *, training: bool = False) -> Module:
        """The module with each block replaced by its compiled region; results agree within rounding."""
        forms = Forms(fused=True, training=training, attention=self.attention, gelu=self.gelu)
        if not self.regions:
            whole = with_forms(module, forms)
            return _told(cast("Module", _torch.compile(whole, fullgraph=True, options=_vectors())), "a configuration")

        def block(attend: Attend, mlp: Mlp) -> Block | OwnBlock:
            signature = block_signature(attend, mlp, forms)
            key = (signature, training)
            if key not in self._blocks:
                self._blocks[key] = _compiled(run_block, signature.name)
            compiled = Block(attend, mlp, self._blocks[key], signature, free=not training)
            return OwnBlock(compiled) if self._is_own(compiled, training) else compiled

        def final(decode: Decode) -> FinalLayer:
            key = (decode.in_features, decode.out_features, str(decode.weight.dtype), training)
            if key not in self._decoders:
                self._decoders[key] = _compiled(run_decode, f"decode_{decode.in_features}_{decode.out_features}")
            return FinalLayer(decode, self._decoders[key], free=not training)

        return replace_decoders(replace_blocks(module, block), final)

    def _is_own(self, block: Block, training: bool) -> bool:
        one, device = block.signature, device_of(block.attend)
        form = block_form(one.width, one.tokens, device=device, training=training, dtype=one.dtype, lack=avx512_lack())
        return self.own_blocks and form == "avx512"


def run_decode(decode: Decode, tokens: Tensor, modulation: Tensor) -> Tensor:
    """A final layer: tokens [N, W, L, D], modulation [N, 2*D] to [N, W, L, p*p*C]."""
    return decode(tokens, modulation)


def free_sizes(tokens: Tensor, modulation: Tensor) -> None:
    """Have what is compiled next hold for any batch and any number of windows.

    Args:
        tokens: [N, W, L, D].
        modulation: [N, k*D].
    """
    if tokens.shape[0] > 1:
        _torch._dynamo.mark_dynamic(tokens, 0)
        _torch._dynamo.mark_dynamic(modulation, 0)
    if tokens.shape[1] > 1:
        _torch._dynamo.mark_dynamic(tokens, 1)


def _compiled(function: F, name: str) -> F:
    """A compiled copy of a function with its own code object, by which torch.compile caches and limits."""
    code = function.__code__.replace(co_name=name)
    copy = types.FunctionType(code, function.__globals__, name)
    return _told(cast("F", _torch.compile(copy, fullgraph=True, options=_vectors())), name)


def _told(compiled: F, name: str) -> F:
    """The same callable, whose first call says in words that the compiler failed."""

    def call(*arguments: Any) -> Any:
        try:
            return compiled(*arguments)
        except _torch._dynamo.exc.BackendCompilerFailed as error:
            lines = [line.strip() for line in str(error).splitlines()]
            said = next((line for line in lines if "error:" in line), next(filter(None, lines), "it does not say why"))
            raise RunError(
                f"{name} could not be compiled: {said}", help="--backend eager needs no compiler; or mend the compiler"
            ) from error

    return cast("F", call)


def _vectors() -> dict[str, object] | None:
    """The width of vectors that inductor takes anyway, said so that its cache of graphs tells them apart.

    Its key knows neither the processor nor `ATEN_CPU_CAPABILITY`, the code in it has the width written in: loops for 8
    numbers, built with the 16 of another process or machine, write past the end of their results.
    """
    config: Any = import_module("torch._inductor.config")
    bits = VECTOR_BITS.get(torch.backends.cpu.get_cpu_capability())
    return None if bits is None or config.cpp.simdlen is not None else {"cpp.simdlen": bits}
