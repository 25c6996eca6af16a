"""Opt-in: the four products of every block of chosen bricks in 8-bit floats, for sampling on Hopper GPUs or later.

A product is off by up to 4.5% of its magnitude (`layers/fp8.py:TOLERANCE`); what that makes of an estimate depends on
the stack: `benchmarks/fp8_error.py` measures it. Its speed was never seen
(docs/unverified.md). Modulation, embedding and final layers stay as they are.

The 8-bit weights are derived: made from the store's, kept beside them (one byte more a weight), and made again in place
when the store's generation has moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from legoc_runtime.contract import program
from legoc_runtime.contract.gelu_rule import GeluForm
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.layers.fp8 import ALIGNMENT, fp8_lack, linear_fp8, quantise_rows
from legoc_runtime.layers.leaves import Attend, Linear, Mlp
from legoc_runtime.store import WeightStore

LARGE_WIDTH = 1024
"""Bricks from this width on are large: narrower products lose more to quantising their input than they gain."""


@dataclass(frozen=True)
class Fp8:
    """Which bricks multiply in 8 bits.

    Attributes:
        bricks: their ids.
        emulated: compute the same numbers without the hardware, slowly, to measure the error.
    """

    bricks: tuple[str, ...]
    emulated: bool = False


def large_bricks(shape: StackShape) -> tuple[str, ...]:
    """The bricks that gain: wide ones that read at least 256 tokens of an image."""
    return tuple(
        brick.id for brick in shape.bricks if brick.width >= LARGE_WIDTH and brick.tokens * brick.windows >= 256
    )


def fp8_for(text: str, shape: StackShape, device: torch.device, dtype: torch.dtype) -> Fp8:
    """What was asked for, where it can run.

    Args:
        text: as in `parse_fp8`.
        shape: the stack.
        device: where it will run.
        dtype: type of the store.

    Raises:
        UsageError: there is no such brick, none is large, or the hardware is missing.
    """
    fp8 = parse_fp8(text, shape)
    _require(device, dtype)
    return fp8


def parse_fp8(text: str, shape: StackShape) -> Fp8:
    """`large`, or ids joined by commas.

    Raises:
        UsageError: there is no such brick, it is a pretrained model, or none is large.
    """
    bricks = large_bricks(shape) if text == "large" else tuple(text.split(","))
    if unknown := [id for id in bricks if id not in shape.ids]:
        raise UsageError(f"there is no brick `{unknown[0]}`", help=f"the stack has {', '.join(shape.ids)}")
    if shape.pretrained is not None and shape.pretrained.id in bricks:
        raise UsageError(
            f"brick `{shape.pretrained.id}` is a pretrained model, whose products stay as they are",
            help="leave it out of fp8",
        )
    if not bricks:
        raise UsageError(
            f"no brick is as wide as {LARGE_WIDTH} with 256 tokens an image", help="name the bricks, or leave fp8 out"
        )
    return Fp8(bricks)


def _require(device: torch.device, dtype: torch.dtype) -> None:
    if lack := fp8_lack(device, dtype):
        raise UsageError(lack, help="leave fp8 out, or take --device cuda --dtype bf16 on such a GPU")


class Fp8Products:
    """Rewrites linked sampling modules, which share one set of 8-bit weights; the store's leaves stay as they are.

    Args:
        store: the weights.
        fp8: which bricks.

    Raises:
        UsageError: there is no such hardware here.
    """

    def __init__(self, store: WeightStore, fp8: Fp8) -> None:
        if not fp8.emulated:
            _require(store.device, store.dtype)
        self._store = store
        self._bricks = fp8.bricks
        self._halves: dict[str, Fp8Attend | Fp8Mlp] = {}
        self._weights: dict[str, Fp8Weights] = {}

    def apply(self, module: fx.GraphModule) -> fx.GraphModule:
        """A copy of a linked module whose chosen bricks multiply in 8 bits.

        Raises:
            UsageError: a width is no multiple of 16.
        """
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        graph.output(graph.graph_copy(module.graph, copies))
        for original, copy in copies.items():
            copy.meta.update(original.meta)
        rebuilt = fx.GraphModule(module, graph, class_name=f"{type(module).__name__}Fp8")
        entered: set[str] = set()
        for node in list(rebuilt.graph.nodes):
            op = node.meta.get("op")
            if not isinstance(op, program.Attend | program.Mlp) or op.brick not in self._bricks:
                continue
            self._replace(rebuilt, node, op.brick)
            if op.brick not in entered:
                entered.add(op.brick)
                self._enter(rebuilt, node, op.brick)
        rebuilt.graph.lint()
        rebuilt.recompile()
        return rebuilt

    def _replace(self, module: fx.GraphModule, node: fx.Node, brick: str) -> None:
        target = str(node.target)
        weights = self._weights.setdefault(brick, Fp8Weights(self._store))
        if target not in self._halves:
            leaf = module.get_submodule(target)
            assert isinstance(leaf, Attend | Mlp)
            half = Fp8Attend(leaf) if isinstance(leaf, Attend) else Fp8Mlp(leaf)
            weights.layers += [layer for layer in half.modules() if isinstance(layer, Fp8Linear)]
            self._halves[target] = half
        node.target = target + "_fp8"
        module.add_submodule(node.target, self._halves[target])

    def _enter(self, module: fx.GraphModule, first: fx.Node, brick: str) -> None:
        """Put the look at the store's generation before a brick's first block."""
        target = str(first.target).partition(".")[0] + ".fp8_weights"
        module.add_submodule(target, self._weights[brick])
        tokens = first.args[0]
        with module.graph.inserting_before(first):
            looked = module.graph.call_module(target, (tokens,))
        first.args = (looked, *first.args[1:])
        for node in looked.users:  # a block's tokens are read by its attention half alone
            assert node is first


class Fp8Weights(nn.Module):
    """Passes tokens on, after making a brick's 8-bit weights again if the store's have changed.

    Attributes:
        layers: what to make again.
    """

    def __init__(self, store: WeightStore) -> None:
        super().__init__()
        self._store = (store,)  # in a tuple: the store is no part of this module
        self._made_at: int | None = None
        self.layers: list[Fp8Linear] = []

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [N, W, L, D], unchanged."""
        generation = self._store[0].generation
        if self._made_at != generation:
            for layer in self.layers:
                layer.refresh()
            self._made_at = generation
        return tokens


class Fp8Linear(Linear):
    """A linear layer of the store with its weights in 8 bits.

    Attributes:
        weight: float8_e4m3fn [O, K].
        scale: float32 [O, 1].
        bias: the store's own parameter [O].
    """

    scale: Tensor

    def __init__(self, leaf: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = leaf.in_features, leaf.out_features
        if self.in_features % ALIGNMENT or self.out_features % ALIGNMENT:
            sizes = f"{self.in_features} and {self.out_features}"
            raise UsageError(
                f"8-bit products need widths that are multiples of {ALIGNMENT}, not {sizes}",
                help="leave this brick out of fp8",
            )
        self.leaf = leaf
        self.bias = leaf.bias
        self.register_buffer("weight", torch.empty_like(leaf.weight, dtype=torch.float8_e4m3fn), persistent=False)
        scale = torch.empty(self.out_features, 1, dtype=torch.float32, device=leaf.weight.device)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """[..., K] to [..., O]."""
        return linear_fp8(input, self.weight, self.scale, self.bias)

    def refresh(self) -> None:
        """Quantise the store's weights again, in place, so that addresses stay."""
        with torch.no_grad():
            weight, scale = quantise_rows(self.leaf.weight)
            self.weight.copy_(weight)
            self.scale.copy_(scale)


class Fp8Attend(Attend):
    """The attention half of a block with 8-bit products; owns no weights of its own."""

    def __init__(self, leaf: Attend) -> None:
        nn.Module.__init__(self)
        self.heads, self.tokens = leaf.heads, leaf.tokens
        self.qkv, self.proj = Fp8Linear(leaf.qkv), Fp8Linear(leaf.proj)


class Fp8Mlp(Mlp):
    """The MLP half of a block with 8-bit products; owns no weights of its own."""

    def __init__(self, leaf: Mlp) -> None:
        nn.Module.__init__(self)
        self.fc1, self.fc2 = Fp8Linear(leaf.fc1), Fp8Linear(leaf.fc2)

    def forward(self, tokens: Tensor, modulation: Tensor, gelu: GeluForm = "call") -> Tensor:
        """As `Mlp`; the scaled product has no GELU epilogue, so that `epilogue` is `call`."""
        return super().forward(tokens, modulation, "call" if gelu == "epilogue" else gelu)
