"""Training modules over weights that lie in shards: each block is run through the store's holder of its weights.

FSDP2 gathers the weights of a module in hooks on the module's call. A linked module calls leaves, and a compiled one
functions that hold leaves, whose hooks would be traced; the store's holders are neither. So attention and MLP of a
block, or what a backend made of both, become one call of their holder, and the whole module becomes one of the store.
Modulation layers are called as they are. Whatever program runs them, hooks stand on the same modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, fx, nn

from legoc_runtime.backends.regions import copied, leaf
from legoc_runtime.contract import program
from legoc_runtime.store import Block, WeightStore


class Gathered(nn.Module):
    """What computes a block, run while the block's weights are whole. Owns no weights.

    Args:
        holder: holds the weights.
        run: computes over them.
    """

    def __init__(self, holder: Block, run: nn.Module) -> None:
        super().__init__()
        self._holder = (holder,)  # no submodule: its weights are not this one's
        self._run = run

    def forward(self, *arguments: Any) -> Tensor:
        """What `run` gives."""
        return self._holder[0](self._run, *arguments)


def gathered(module: fx.GraphModule, store: WeightStore) -> fx.GraphModule:
    """A copy of a compiled module, or of a part of one, that runs each block through its holder."""
    copy = copied(module)
    for node in list(copy.graph.nodes):
        op = node.meta.get("op")
        if isinstance(op, program.Mlp):
            target = f"{str(node.target).rpartition('.')[0]}.gathered"
            holder = store.block(op.brick, op.block)
            before = node.args[0]
            attended = before.meta.get("op") if isinstance(before, fx.Node) else None
            if isinstance(attended, program.Attend):
                _fold(copy, target, holder, before, node)
            else:  # a backend made one call of both
                copy.add_submodule(target, Gathered(holder, leaf(copy, node)))
                node.target = target
    copy.recompile()
    return copy


def rooted(module: Callable[..., Any], store: WeightStore) -> Callable[..., Any]:
    """A module run while all weights are whole that are of no block: the store is what FSDP2 calls the root."""

    def run(*arguments: Any) -> Any:
        return _owned(module(*arguments))

    return lambda *arguments: store(run, *arguments)


def _owned(found: Any) -> Any:
    """Results that are no views of others, such as the variance among a brick's channels: FSDP2 warns of those."""
    if isinstance(found, Tensor):
        return found.clone() if found._is_view() else found
    if isinstance(found, tuple | list):
        return tuple(_owned(each) for each in cast("tuple[Any, ...]", found))
    return found


def _fold(module: fx.GraphModule, target: str, holder: Block, attend: fx.Node, mlp: fx.Node) -> None:
    """One call for the two of a block: of the tokens and the modulation that both read."""
    tokens, modulation = (cast("fx.Node", argument) for argument in attend.args)
    graph = fx.Graph()
    inside = {tokens: graph.placeholder("tokens"), modulation: graph.placeholder("modulation")}
    inside[attend] = graph.node_copy(attend, lambda argument: inside[argument])
    graph.output(graph.node_copy(mlp, lambda argument: inside[argument]))
    module.add_submodule(target, Gathered(holder, fx.GraphModule(module, graph)))
    mlp.target, mlp.args, mlp.kwargs = target, (tokens, modulation), {}
    module.graph.erase_node(attend)
