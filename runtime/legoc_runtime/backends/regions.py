"""What backends compile: the Transformer blocks of a linked module, told apart by signature.

A stack has many blocks and two or three signatures, so that a backend that compiles by signature does little work,
however many configurations there are. Which form of a kernel runs is decided here too, by the rules of the contract:
modules know the forms and never choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from torch import Tensor, fx, nn

from legoc_runtime.contract import program
from legoc_runtime.contract.attention_rule import AttentionForm, Device, attention_form
from legoc_runtime.contract.gelu_rule import GeluForm, gelu_form
from legoc_runtime.contract.native import BlockSignature
from legoc_runtime.contract.pass_ops import EmbedChannels, EmbedFolded
from legoc_runtime.layers.kernels import kernels_lack
from legoc_runtime.layers.leaves import Attend, Decode, Mlp


@dataclass(frozen=True)
class Forms:
    """How forms of kernels are chosen: by rule, or as given (to measure what a form is worth).

    Attributes:
        fused: whether the backend fuses element-wise operations.
        training: whether a backward pass follows.
        python_ops: whether what runs may call operations that are defined in Python.
        attention: the form of every attention; None goes by the rule.
        gelu: the form of every GELU; None goes by the rule.
    """

    fused: bool
    training: bool = False
    python_ops: bool = True
    attention: AttentionForm | None = None
    gelu: GeluForm | None = None

    def of_attention(self, attend: Attend) -> AttentionForm:
        """The form for one leaf."""
        device = device_of(attend)
        return self.attention or attention_form(
            attend.tokens, device=device, fused=self.fused, training=self.training, kernels=kernels_lack() is None
        )

    def of_gelu(self, mlp: Mlp) -> GeluForm:
        """The form for one leaf."""
        device = device_of(mlp)
        return self.gelu or gelu_form(
            device=device, fused=self.fused, training=self.training, python_ops=self.python_ops
        )


def block_signature(attend: Attend, mlp: Mlp, forms: Forms) -> BlockSignature:
    """The signature of a block under a choice of forms."""
    return BlockSignature(
        width=attend.proj.in_features,
        heads=attend.heads,
        tokens=attend.tokens,
        hidden=mlp.fc1.out_features,
        dtype=str(attend.proj.weight.dtype).removeprefix("torch."),
        attention=forms.of_attention(attend),
        gelu=forms.of_gelu(mlp),
    )


def run_block(
    attend: Attend, mlp: Mlp, tokens: Tensor, modulation: Tensor, attention: AttentionForm, gelu: GeluForm
) -> Tensor:
    """One Transformer block: tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D]."""
    return mlp(attend(tokens, modulation, attention), modulation, gelu)


def block_weights(attend: Attend, mlp: Mlp) -> dict[str, Tensor]:
    """The weights of a block by the names that compiled code knows them by: `attend.qkv.weight`, `mlp.fc1.bias`, ..."""
    return {
        f"{part}.{name}": weight.detach()
        for part, module in (("attend", attend), ("mlp", mlp))
        for name, weight in module.named_parameters()
    }


def device_of(leaf: nn.Module) -> Device:
    """The kind of device that a leaf's weights are on. Everything that is not CUDA follows the rules of the CPU."""
    return "cuda" if next(leaf.parameters()).device.type == "cuda" else "cpu"


def with_forms(module: fx.GraphModule, forms: Forms) -> fx.GraphModule:
    """A copy of a linked module whose leaf calls name their forms."""
    copy = copied(module)
    for node in copy.graph.nodes:
        match node.meta.get("op"):
            case program.Attend():
                node.kwargs = {**node.kwargs, "form": forms.of_attention(cast("Attend", leaf(copy, node)))}
            case program.Mlp():
                node.kwargs = {**node.kwargs, "gelu": forms.of_gelu(cast("Mlp", leaf(copy, node)))}
            case _:
                pass
    copy.recompile()
    return copy


def replace_blocks(module: fx.GraphModule, make: Callable[[Attend, Mlp], nn.Module]) -> fx.GraphModule:
    """A copy of a linked module that calls `make(attend, mlp)(tokens, modulation)` for each block.

    The store's modules stay as they are: the containers along a GraphModule's paths are its own.
    """
    copy = copied(module)
    for attend, mlp in blocks_in(copy):
        target = str(mlp.target).rpartition(".")[0] + ".compiled"
        copy.add_submodule(target, make(cast("Attend", leaf(copy, attend)), cast("Mlp", leaf(copy, mlp))))
        mlp.target = target
        mlp.args, mlp.kwargs = (attend.args[0], mlp.args[1]), {}
        copy.graph.erase_node(attend)
    copy.recompile()
    return copy


def replace_decoders(module: fx.GraphModule, make: Callable[[Decode], nn.Module]) -> fx.GraphModule:
    """A copy of a linked module that calls `make(decode)(tokens, modulation)` for each final layer."""
    copy = copied(module)
    for node in copy.graph.nodes:
        if isinstance(node.meta.get("op"), program.Decode):
            target = str(node.target).rpartition(".")[0] + ".compiled"
            copy.add_submodule(target, make(cast("Decode", leaf(copy, node))))
            node.target = target
    copy.recompile()
    return copy


def replace_bricks(module: fx.GraphModule, make: Callable[[str, fx.GraphModule], nn.Module]) -> fx.GraphModule:
    """A copy of a linked module that calls `make(id, inner)` in the place of each brick's network, wherever it runs.

    A brick's network is what runs between its cut tokens and its decoded ones: embedding, blocks, final layer; an
    embedding that adds a constant made of weights stays outside. `inner` is a module of the network over the store's
    leaves; its arguments are the tokens and every modulation that it reads.
    """
    copy = copied(module)
    networks: list[tuple[str, list[fx.Node]]] = []
    for node in copy.graph.nodes:
        op = node.meta.get("op")
        if isinstance(op, program.Embed | EmbedChannels | EmbedFolded):
            networks.append((op.brick, []))  # the same brick may run again, over other windows (`fill: model`)
        if isinstance(op, program.Embed | EmbedChannels | program.Attend | program.Mlp | program.Decode):
            assert networks, "a network begins where its tokens are embedded"
            assert networks[-1][0] == op.brick, "networks stand one after the other"
            networks[-1][1].append(node)
    for number, (id, nodes) in enumerate(networks):
        _fold(copy, nodes, f"network_{number}", lambda inner, id=id: make(id, inner))
    copy.recompile()
    return copy


def _fold(module: fx.GraphModule, nodes: list[fx.Node], name: str, make: Callable[[fx.GraphModule], nn.Module]) -> None:
    """Put one call in the place of nodes that give one value to the others."""
    graph, last = fx.Graph(), nodes[-1]
    inside: dict[fx.Node, fx.Node] = {}
    given = dict.fromkeys(arg for node in nodes for arg in node.all_input_nodes if arg not in nodes)
    for argument in given:
        inside[argument] = graph.placeholder(argument.name)
    for node in nodes:
        assert node is last or all(user in nodes for user in node.users), f"{node} is read outside its brick"
        inside[node] = graph.node_copy(node, lambda argument: inside[argument])
    graph.output(inside[last])
    target = f"{str(last.target).split('.')[0]}.{name}"
    module.add_submodule(target, make(fx.GraphModule(module, graph)))
    with module.graph.inserting_before(last):
        call = module.graph.call_module(target, tuple(given))
    last.replace_all_uses_with(call)
    for node in reversed(nodes):
        module.graph.erase_node(node)


def blocks_in(module: fx.GraphModule) -> Iterator[tuple[fx.Node, fx.Node]]:
    """The two calls of each block, attention and MLP, where the second alone reads the first."""
    for node in list(module.graph.nodes):
        op = node.meta.get("op")
        if not isinstance(op, program.Mlp):
            continue
        attended = cast("fx.Node", node.args[0])
        before = attended.meta.get("op")
        same = isinstance(before, program.Attend) and (before.brick, before.block) == (op.brick, op.block)
        if same and len(attended.users) == 1 and attended.args[1] is node.args[1]:
            yield attended, node


def copied(module: fx.GraphModule) -> fx.GraphModule:
    """A linked module of the same graph, over the same leaves, which may be changed."""
    graph = fx.Graph()
    result = graph.graph_copy(module.graph, copies := {})
    graph.output(result)
    for original, copy in copies.items():
        copy.meta.update(original.meta)
    result = fx.GraphModule(module, graph, class_name=f"{type(module).__name__}Compiled")
    result.meta.update(module.meta)
    return result


def leaf(module: fx.GraphModule, node: fx.Node) -> nn.Module:
    """The module that a node calls."""
    return module.get_submodule(str(node.target))
