"""Link a program: each operation becomes one call of a leaf module or of a pure function.

Weights are reached through leaf-module calls alone, never as `get_attr` nodes, so that meta materialisation, FSDP2 and
hooks keep working; the leaf modules are the store's own objects.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from itertools import groupby
from typing import Any, assert_never

import torch
from torch import fx, nn

from legoc_runtime.contract.chain_ops import DdpmScales, JoinChannels, TakeChannels
from legoc_runtime.contract.gradient import without_gradient
from legoc_runtime.contract.pass_ops import (
    Cast,
    EmbedChannels,
    EmbedFolded,
    JoinEstimate,
    ModulateTogether,
    SplitModulations,
)
from legoc_runtime.contract.program import (
    Attend,
    Condition,
    Decode,
    Detach,
    EdmScales,
    Embed,
    FillClean,
    Merge,
    Mlp,
    Modulate,
    NoEstimate,
    Op,
    OtherWindows,
    Partition,
    Precondition,
    Pretrained,
    Program,
    PutWindows,
    ScaleImage,
    TakeWindows,
    Unprecondition,
    Value,
    WindowMask,
    outputs_of,
)
from legoc_runtime.contract.refine_ops import LessNoise, LowerLevel
from legoc_runtime.contract.stack import CoordinateOrder, Layout
from legoc_runtime.contract.verify import verify_program
from legoc_runtime.errors import UsageError
from legoc_runtime.layers import patching, recording, scaling
from legoc_runtime.layers.derived import FoldedEmbed, JointModulate, split_modulations
from legoc_runtime.layers.regrouping import join_estimate
from legoc_runtime.store import BRICK_PREFIX, WeightStore

Arguments = tuple[Any, ...]

BETWEEN_BRICKS = "_AND_"
"""Joins the ids of bricks to a name. No id has a capital letter, so that no two sets of bricks have one name."""


def link(program: Program, store: WeightStore) -> fx.GraphModule:
    """The module of a program, over the store.

    Arguments are the program's inputs in order; the result is its output tensor, or a tuple of them in order. Each node
    carries `meta["op"]`, the operation that it came from; the module's own `meta["generation"]()` is the store's.

    Raises:
        RunError: the program is not valid for this store's stack.
        UsageError: it runs a brick whose weights the store does not hold.
    """
    verify_program(program, store.shape)
    if absent := [brick for brick in program.bricks if brick not in store.bricks]:
        raise UsageError(
            f"the weights of brick `{absent[0]}` were not loaded; {', '.join(store.bricks)} were",
            help="load the stack whole, or name that brick in `bricks=`, or a policy that runs it",
        )
    linker = _Linker(program, store)
    for name, _ in program.inputs:
        linker.values[name] = linker.graph.placeholder(_identifier(name))
    unrecorded = without_gradient(program)
    for is_unrecorded, run in groupby(program.ops, key=lambda op: op in unrecorded):
        with linker.unrecorded() if is_unrecorded else nullcontext():
            for op in run:
                linker.emit(op)
    results = tuple(linker.values[value] for _, value in program.outputs)
    linker.graph.output(results[0] if len(results) == 1 else results)
    linker.graph.lint()
    module = fx.GraphModule(linker.modules, linker.graph, class_name=_class_name(program.name))
    module.meta["generation"] = lambda: store.generation
    return module


def argument_dtype(program: Program, store: WeightStore) -> torch.dtype:
    """The type in which a program takes images and noise levels: that of the state if it casts, else of the weights."""
    return store.state_dtype if any(isinstance(op, Cast) for op in program.ops) else store.dtype


def bricks_in(module: fx.GraphModule) -> tuple[str, ...]:
    """The bricks whose weights a linked module calls, bottom to top, read off its graph."""
    called = [str(node.target).split(".")[0] for node in module.graph.nodes if node.op == "call_module"]
    return tuple(dict.fromkeys(c.removeprefix(BRICK_PREFIX) for c in called if c.startswith(BRICK_PREFIX)))


class _Linker:
    def __init__(self, program: Program, store: WeightStore) -> None:
        self.program = program
        self.store = store
        self.graph = fx.Graph()
        self.values: dict[Value, fx.Node] = {}
        self.modules: dict[str, nn.Module] = {}
        self.coordinates: fx.Node | None = None

    def emit(self, op: Op) -> None:
        match op:
            case EdmScales(sigma=sigma, sigma_data=sigma_data):
                arguments = (self.values[sigma], sigma_data)
                self._scales(op, self._node("call_function", scaling.edm_scales, arguments, "scales", op))
            case DdpmScales(sigma=sigma):
                self._scales(op, self._node("call_module", "chain", (self.values[sigma],), "scales", op))
            case ScaleImage(image=image, scale=scale):
                self._call(op, scaling.scale_image, (self.values[image], self.values[scale]))
            case Condition(time=time, label=label, time_scale=time_scale):
                labels = None if label is None else self.values[label]
                self._leaf(op, "conditioning", (self.values[time], labels, time_scale))
            case NoEstimate(like=like):
                self._call(op, scaling.no_estimate, (self.values[like],))
            case Partition():
                self._partition(op)
            case TakeWindows(tokens=tokens, index=index):
                self._call(op, patching.take_windows, (self.values[tokens], self.values[index]))
            case Embed(brick=brick, tokens=tokens):
                self._leaf(op, f"{BRICK_PREFIX}{brick}.embed", (self.values[tokens],))
            case Modulate(brick=brick, block=block, condition=condition):
                place = "final" if block is None else f"blocks.{block}"
                self._leaf(op, f"{BRICK_PREFIX}{brick}.{place}.adaln", (self.values[condition],))
            case Attend(brick=brick, block=block, tokens=tokens, modulation=modulation):
                target = f"{BRICK_PREFIX}{brick}.blocks.{block}.attn"
                self._leaf(op, target, (self.values[tokens], self.values[modulation]))
            case Mlp(brick=brick, block=block, tokens=tokens, modulation=modulation):
                target = f"{BRICK_PREFIX}{brick}.blocks.{block}.mlp"
                self._leaf(op, target, (self.values[tokens], self.values[modulation]))
            case Decode(brick=brick, tokens=tokens, modulation=modulation):
                target = f"{BRICK_PREFIX}{brick}.final.linear"
                self._leaf(op, target, (self.values[tokens], self.values[modulation]))
            case PutWindows(tokens=tokens, index=index, windows=windows):
                self._call(op, patching.put_windows, (self.values[tokens], self.values[index], windows))
            case Merge(tokens=tokens, grid=grid, window=window, offset=offset, receptive_field=receptive_field):
                self._call(op, patching.merge, (self.values[tokens], grid, window, offset, receptive_field))
            case Precondition(image=image, network=network, c_skip=c_skip, c_out=c_out):
                self._call(op, scaling.precondition, self._read(image, network, c_skip, c_out))
            case WindowMask(index=index, grid=grid, window=window, offset=offset):
                self._call(op, patching.window_mask, (self.values[index], grid, window, offset))
            case OtherWindows(index=index, windows=windows):
                self._call(op, patching.other_windows, (self.values[index], windows))
            case FillClean(estimate=estimate, clean=clean, mask=mask):
                self._call(op, scaling.fill_clean, self._read(estimate, clean, mask))
            case Unprecondition(clean=clean, image=image, c_skip=c_skip, c_out=c_out):
                self._call(op, scaling.unprecondition, self._read(clean, image, c_skip, c_out))
            case Detach(image=image):
                self._call(op, scaling.detach, (self.values[image],))
            case Pretrained(brick=brick, image=image, sigma=sigma, label=label):
                labels = None if label is None else self.values[label]
                self._leaf(op, f"{BRICK_PREFIX}{brick}", (self.values[image], self.values[sigma], labels))
            case LowerLevel(sigma=sigma, scale=scale, lowest=lowest):
                self._call(op, scaling.lower_level, (self.values[sigma], scale, lowest))
            case LessNoise(estimate=estimate, image=image, sigma=sigma, level=level):
                self._call(op, scaling.less_noise, self._read(estimate, image, sigma, level))
            case TakeChannels(image=image, first=first, count=count):
                self._call(op, scaling.take_channels, (self.values[image], first, count))
            case JoinChannels(images=images):
                self._call(op, scaling.join_channels, ([*self._read(*images)],))
            case JoinEstimate():
                self._join_estimate(op)
            case EmbedChannels(brick=brick, first=first, count=count, tokens=tokens):
                self._leaf(op, f"{BRICK_PREFIX}{brick}.embed", (self.values[tokens], (first, count)))
            case EmbedFolded():
                self._embed_folded(op)
            case ModulateTogether():
                self._modulate_together(op)
            case SplitModulations():
                self._split_modulations(op)
            case Cast(value=value, to=to):
                self._cast(op, value, self.store.dtype if to == "weights" else self.store.state_dtype)
            case _:
                assert_never(op)

    @contextmanager
    def unrecorded(self) -> Generator[None]:
        """What is emitted here is computed without gradient, and keeps nothing for a backward pass."""
        was = self.graph.create_node("call_function", recording.stop_recording, (), {}, name="was_recorded")
        yield
        self.graph.create_node("call_function", recording.resume_recording, (was,), {}, name="recorded_again")

    def _read(self, *values: Value) -> Arguments:
        return tuple(self.values[value] for value in values)

    def _scales(self, op: EdmScales | DdpmScales, scales: fx.Node) -> None:
        for i, value in enumerate(outputs_of(op)):
            self.values[value] = self._node("call_function", operator.getitem, (scales, i), value, op)

    def _partition(self, op: Partition) -> None:
        images = [*self._read(*op.images)]
        channels = self._coordinates(op.coordinates, op)
        self._call(op, patching.partition, (images, channels, op.window, op.offset, op.receptive_field))

    def _join_estimate(self, op: JoinEstimate) -> None:
        scales = [None if value is None else self.values[value] for value in (op.c_skip, op.c_out, op.c_in)]
        channels = self._coordinates(op.coordinates, op)
        layouts = _cutting(op.source), _cutting(op.target)
        self._call(op, join_estimate, (*self._read(op.tokens, op.image), *scales, channels, *layouts))

    def _coordinates(self, order: CoordinateOrder, op: Op) -> fx.Node | None:
        if order == "none":
            return None
        if self.coordinates is None:
            self.coordinates = self._node("call_module", "coordinates", (), "coordinates", op)
        return self.coordinates

    def _embed_folded(self, op: EmbedFolded) -> None:
        target = f"{BRICK_PREFIX}{op.brick}.folded_embed"
        self.modules[target] = FoldedEmbed(
            self.store.embed(op.brick),
            None if op.coordinates == "none" else self.store.coordinates,
            _cutting(op.layout),
            (op.first, op.count),
            self.store.derived,
            f"embedding constant of {op.brick}",
        )
        self._leaf(op, target, (self.values[op.tokens],))

    def _modulate_together(self, op: ModulateTogether) -> None:
        name = BETWEEN_BRICKS.join(op.bricks)
        layers = [layer for brick in op.bricks for layer in self.store.adaln_layers(brick)]
        self.modules[target := f"modulate.{name}"] = JointModulate(layers, self.store.derived, f"modulation of {name}")
        self._leaf(op, target, (self.values[op.condition],))

    def _split_modulations(self, op: SplitModulations) -> None:
        brick = self.store.shape.brick(op.brick)
        arguments = (self.values[op.joined], op.start, brick.depth, brick.width)
        parts = self._node("call_function", split_modulations, arguments, f"{op.brick}.modulations", op)
        for i, value in enumerate(op.outs):
            self.values[value] = self._node("call_function", operator.getitem, (parts, i), value, op)

    def _cast(self, op: Cast, value: Value, dtype: torch.dtype) -> None:
        if self.store.dtype == self.store.state_dtype:  # both types are one: nothing to do, and nothing to read
            self.values[op.out] = self.values[value]
            return
        self._call(op, scaling.cast, (self.values[value], dtype))

    def _call(self, op: Op, function: Callable[..., Any], arguments: Arguments) -> None:
        value = _out(op)
        self.values[value] = self._node("call_function", function, arguments, value, op)

    def _leaf(self, op: Op, target: str, arguments: Arguments) -> None:
        value = _out(op)
        self.values[value] = self._node("call_module", target, arguments, value, op)

    def _node(self, kind: str, target: Any, arguments: Arguments, name: Value, op: Op) -> fx.Node:
        if kind == "call_module" and target not in self.modules:
            self.modules[target] = self.store.get_submodule(target)
        node = self.graph.create_node(kind, target, arguments, {}, name=_identifier(name))
        node.meta["op"] = op
        return node


def _out(op: Op) -> Value:
    assert not isinstance(op, EdmScales | DdpmScales | SplitModulations)
    return op.out


def _cutting(layout: Layout) -> patching.Cutting:
    return layout.window, layout.receptive_field, layout.offset


def _identifier(value: Value) -> str:
    """`windows.0.tokens` as `windows_0_tokens`."""
    return re.sub(r"\W", "_", value)


def _class_name(program: str) -> str:
    return "".join(part.title() for part in re.split(r"\W+|_", program)) or "Stack"
