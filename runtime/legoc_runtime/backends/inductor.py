"""The inductor backend: regional compilation of Transformer blocks.

A block (attention and MLP halves) is compiled once for each distinct signature and called for every block that has it,
whichever configuration it stands in, so that a further configuration costs almost nothing. What surrounds the blocks
(cutting, preconditioning) is a few pure moves a brick and stays eager. The compiled callables live in this object and
in the modules that it returns; `block.compile()` would change the store's own modules for everybody.
"""

from __future__ import annotations

import os
import shutil
import types
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from legoc_runtime.backends.base import Module
from legoc_runtime.contract.attention_rule import AttentionForm, attention_form
from legoc_runtime.contract.program import Attend as AttendOp
from legoc_runtime.contract.program import Mlp as MlpOp
from legoc_runtime.layers.leaves import Attend, Mlp

BlockFunction = Callable[[Attend, Mlp, Tensor, Tensor, AttentionForm], Tensor]
Signature = tuple[int, int, int, int]
"""Width, heads, tokens of a window, hidden features of the MLP."""


_torch: Any = torch  # torch.compile is only partly typed


def run_block(attend: Attend, mlp: Mlp, tokens: Tensor, modulation: Tensor, form: AttentionForm) -> Tensor:
    """One Transformer block: tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D]."""
    return mlp(attend(tokens, modulation, form), modulation)


class Region(nn.Module):
    """A block of the store run through a compiled function. Holds the store's leaves; owns no weights."""

    def __init__(self, attend: Attend, mlp: Mlp, compiled: BlockFunction, form: AttentionForm) -> None:
        super().__init__()
        self.attend = attend
        self.mlp = mlp
        self.compiled = compiled
        self.form: AttentionForm = form

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:
        """Tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D]."""
        return self.compiled(self.attend, self.mlp, tokens, modulation, self.form)


class Inductor:
    """Compiles blocks with torch.compile, once a signature."""

    name = "inductor"

    def __init__(self) -> None:
        self._compiled: dict[Signature, BlockFunction] = {}

    def available(self) -> str | None:
        """None, or that there is no C++ compiler (CPU needs one; CUDA brings Triton)."""
        if torch.cuda.is_available():
            return None
        compilers = [os.environ.get("CXX") or "", "g++", "clang++", "c++"]
        if any(shutil.which(compiler) for compiler in compilers if compiler):
            return None
        return "there is no C++ compiler (g++ or clang++)"

    def compile(self, module: fx.GraphModule) -> Module:
        """The module with each block replaced by its compiled region; results agree within rounding."""
        graph = fx.Graph()
        result = graph.graph_copy(module.graph, copies := {})
        graph.output(result)
        rebuilt = fx.GraphModule(module, graph, class_name=f"{type(module).__name__}Compiled")
        originals = {copy: original for original, copy in copies.items()}
        for node in list(rebuilt.graph.nodes):
            original = originals.get(node)
            if original is not None:
                node.meta.update(original.meta)
        self._replace_blocks(rebuilt)
        return rebuilt

    def _replace_blocks(self, module: fx.GraphModule) -> None:
        for node in list(module.graph.nodes):
            op = node.meta.get("op")
            if not isinstance(op, MlpOp):
                continue
            attended = cast("fx.Node", node.args[0])
            before = attended.meta.get("op")
            if not isinstance(before, AttendOp) or before.block != op.block or len(attended.users) != 1:
                continue
            attend = cast("Attend", module.get_submodule(str(attended.target)))
            mlp = cast("Mlp", module.get_submodule(str(node.target)))
            target = str(node.target).rpartition(".")[0] + ".compiled"
            self._install(module, target, self._region(attend, mlp))
            node.target = target
            node.args = (attended.args[0], node.args[1])
            module.graph.erase_node(attended)
        module.recompile()

    def _install(self, module: fx.GraphModule, target: str, region: Region) -> None:
        # the GraphModule's containers along the path are its own copies, so the store does not see this
        module.add_submodule(target, region)

    def _region(self, attend: Attend, mlp: Mlp) -> Region:
        signature = (attend.proj.in_features, attend.heads, attend.tokens, mlp.fc1.out_features)
        if signature not in self._compiled:
            self._compiled[signature] = _compile_block(signature)
        device = "cuda" if attend.proj.weight.is_cuda else "cpu"
        return Region(attend, mlp, self._compiled[signature], attention_form(attend.tokens, device=device, fused=True))


def _compile_block(signature: Signature) -> BlockFunction:
    """A compiled copy of `run_block` with its own code object, by which torch.compile caches and limits."""
    width, heads, tokens, hidden = signature
    code = run_block.__code__.replace(co_name=f"block_{width}x{heads}_{tokens}_{hidden}")
    function = types.FunctionType(code, run_block.__globals__, code.co_name)
    return cast("BlockFunction", _torch.compile(function, fullgraph=True))
