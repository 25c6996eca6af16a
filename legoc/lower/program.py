"""BrickGraph to Program. The graph says which brick reads what; here each brick becomes its operations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

from legoc.graph.brick_graph import BrickGraph, Entry
from legoc.graph.build import OUTPUT, brick_name, sampling_graph, training_graph
from legoc.graph.nodes import (
    AsNetwork,
    Brick,
    Bypass,
    ClassLabel,
    Conditioning,
    Estimate,
    NoEstimateBelow,
    NoiseLevel,
    NoiseScales,
    NoisyImage,
    Output,
    ScaledImage,
)
from legoc.graph.nodes import Pretrained as PretrainedNode
from legoc.lower.brick import lower_brick, lower_rest, window_index
from legoc.lower.diffusion import emit_bounded, emit_joined, emit_prediction, emit_scales, emit_variance
from legoc.lower.emitter import Emitter
from legoc.lower.refine import emit_refined
from legoc.passes.base import run_passes
from legoc.passes.catalog import sampling_passes, training_passes
from legoc_runtime.contract.curriculum import Variant
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.program import (
    Condition,
    Detach,
    FillClean,
    Image,
    Label,
    NoEstimate,
    Precondition,
    Pretrained,
    Program,
    Scalar,
    ScaleImage,
    Unprecondition,
    Value,
    Vector,
    WindowMask,
)
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import BrickShape, StackShape


def lower_sampling(shape: StackShape, configuration: Configuration) -> Program:
    """The program of one configuration as lowering makes it, before passes over programs (`lower.pipeline`)."""
    return lower(run_passes(sampling_graph(shape), sampling_passes(configuration)))


def lower_training(shape: StackShape, train: TrainSettings) -> Program:
    """The training program as lowering makes it, before passes over programs (`lower.pipeline`)."""
    return lower(run_passes(training_graph(shape), training_passes()), train)


def lower(graph: BrickGraph, train: TrainSettings | None = None, variant: Variant | None = None) -> Program:
    """Lower a graph without bypasses; with `train`, to the training program, of a variant of the stack if given."""
    lowering = _Lowering(graph, train, frozenset(variant.frozen if variant else ()))
    for entry in graph.in_order():
        lowering.lower(entry)
    if graph.shape.classes is not None:
        # an argument also where nothing reads it: a pretrained model may know no classes
        lowering.out.input("label", Label(graph.shape.classes))
    bricks = tuple(id for id in graph.shape.ids if id in lowering.networks or id in lowering.models)
    return lowering.out.program(variant.name(graph.shape.ids) if variant else graph.name, bricks)


def with_below_given(program: Program) -> Program:
    """A program of one brick that takes what is to stand for the missing estimate as its last argument."""
    absent = [op.out for op in program.ops if isinstance(op, NoEstimate)]
    if not absent:
        return program
    (value,) = absent
    ops = tuple(op for op in program.ops if not isinstance(op, NoEstimate))
    return replace(program, inputs=(*program.inputs, (value, program.types[value])), ops=ops)


@dataclass
class _Lowering:
    """The state of one lowering.

    Attributes:
        values: graph node -> value that its readers take.
        frozen: bricks that run and do not train: all their windows, without gradient.
        networks: brick -> its raw network output, zero where windows were not run, channels of a variance included.
        models: pretrained bricks that run.
    """

    graph: BrickGraph
    train: TrainSettings | None
    frozen: frozenset[str] = frozenset()
    out: Emitter = field(default_factory=Emitter)
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    networks: dict[str, Value] = field(default_factory=dict[str, Value])
    masks: dict[str, Value] = field(default_factory=dict[str, Value])
    models: set[str] = field(default_factory=set[str])

    @property
    def shape(self) -> StackShape:
        return self.graph.shape

    @property
    def image(self) -> Image:
        return Image(self.shape.channels, *self.shape.grid)

    def lower(self, entry: Entry) -> None:
        """Emit one node."""
        match entry.node:
            case NoisyImage():
                self.values[entry.name] = self.out.input("x", self.image)
            case NoiseLevel():
                self.values[entry.name] = self.out.input("sigma", Scalar())
            case ClassLabel():
                self.values[entry.name] = self.out.input("label", Label(self.shape.classes or 0))
            case NoiseScales():
                sigma = self.values[entry.inputs["sigma"]]
                self.values[entry.name] = emit_scales(self.out, self.shape.diffusion, sigma)
            case ScaledImage():
                op = ScaleImage(image=self.values[entry.inputs["image"]], scale="c_in", out="x.scaled")
                self.values[entry.name] = self.out.emit(op, self.image)
            case Conditioning():
                self.values[entry.name] = self._condition(entry)
            case NoEstimateBelow():
                op = NoEstimate(like=self.values[entry.inputs["like"]], out="nothing")
                self.values[entry.name] = self.out.emit(op, self.image)
            case Brick(id=id):
                self.values[entry.name] = self._brick(entry, self.shape.brick(id))
            case Estimate(id=id):
                self.values[entry.name] = self._estimate(entry, self.shape.brick(id))
            case PretrainedNode(id=id):
                self.values[entry.name] = self._pretrained(entry, id)
            case AsNetwork(id=id):
                op = Unprecondition(
                    clean=self.values[entry.inputs["estimate"]],
                    image="x",
                    c_skip="c_skip",
                    c_out="c_out",
                    out=f"{id}.network",
                )
                self.values[entry.name] = self.out.emit(op, self.image)
            case Output():
                self._output(entry)
            case Bypass(id=id):
                raise ValueError(f"brick `{id}` is still a bypass: reroute estimates before lowering")
            case _:
                assert_never(entry.node)

    def _condition(self, entry: Entry) -> Value:
        label = self.values[entry.inputs["label"]] if "label" in entry.inputs else None
        form = self.shape.label_form if label is not None else None
        type = Vector(self.shape.condition_width)
        op = Condition(time="c_noise", label=label, form=form, time_scale=self.shape.time_scale, out="condition")
        condition = self.out.emit(op, type)
        # every brick reads it: a brick that is frozen gives what it gave only if the embedders are frozen as well
        return self.out.emit(Detach(image=condition, out="condition.frozen"), type) if self.frozen else condition

    def _brick(self, entry: Entry, brick: BrickShape) -> Value:
        below = entry.inputs.get("below")
        images = (self.values[entry.inputs["image"]],)
        if below is not None:
            images = (self._handed_on(below, brick.id), *images)
        trains = self.train is not None and brick.id not in self.frozen
        index = window_index(self.out, brick) if trains else None
        network = lower_brick(
            self.out, brick, images, self.values[entry.inputs["condition"]], self.shape.coordinates, index
        )
        self.networks[brick.id] = network
        if index is not None:
            op = WindowMask(
                brick=brick.id,
                index=index,
                grid=brick.grid,
                window=brick.window,
                offset=brick.offset,
                out=f"{brick.id}.mask",
            )
            self.masks[brick.id] = self.out.emit(op, Image(1, *brick.grid))
        return emit_prediction(self.out, brick, network, brick.id)

    def _estimate(self, entry: Entry, brick: BrickShape) -> Value:
        return self._precondition(self.values[entry.inputs["network"]], f"{brick.id}.estimate")

    def _pretrained(self, entry: Entry, id: str) -> Value:
        """A model's estimate, from the one below on where there is one.

        While training one that is frozen is computed without gradient, unless the loss of a brick above it is to reach
        one below it, which trains.
        """
        self.models.add(id)
        label = self.values[entry.inputs["label"]] if "label" in entry.inputs else None
        image, sigma = "x", "sigma"
        if (below := entry.inputs.get("below")) is not None:
            given = self.shape.runs_pretrained((id,))
            assert given is not None
            estimate = self._carried(below, id)
            image, sigma = emit_refined(self.out, given, estimate)
        op = Pretrained(brick=id, image=image, sigma=sigma, label=label, out=f"{id}.estimate")
        estimate = self.out.emit(op, self.image)
        if self.train is None or (id not in self.frozen and (id not in self.shape.fixed or self._learns(below))):
            return estimate
        return self.out.emit(Detach(image=estimate, out=f"{id}.frozen"), self.image)

    def _learns(self, below: str | None) -> bool:
        """Whether a loss above reaches the brick whose estimate this is."""
        if below is None or self.train is None or self.train.gradient == "detached":
            return False
        return self._behind(below) not in self.frozen

    def _precondition(self, network: Value, out: Value) -> Value:
        op = Precondition(image="x", network=network, c_skip="c_skip", c_out="c_out", out=out)
        return self.out.emit(op, self.image)

    def _handed_on(self, below: str, reader: str) -> Value:
        """What a brick reads of the one below: what that carries, an estimate within bounds."""
        value = self._carried(below, reader)
        if isinstance(self.graph[below].node, Estimate | PretrainedNode):
            return emit_bounded(self.out, self.shape.diffusion, value, f"{reader}.bounded")
        return value

    def _carried(self, below: str, reader: str) -> Value:
        """What the brick below hands on: filled in where it did not run, and cut off from the gradient if asked."""
        value = self.values[below]
        node = self.graph[below].node
        if isinstance(node, PretrainedNode | AsNetwork):
            given = value
            if self.train is None or self.train.gradient != "detached" or node.id in {*self.shape.fixed, *self.frozen}:
                return given
            return self.out.emit(Detach(image=given, out=f"{reader}.below"), self.image)
        if self.train is None or not isinstance(node, Brick | Estimate):
            return value
        id = self._behind(below)
        if self.train.fill != "noisy" and id in self.masks:
            clean = self._stand_in(id, isinstance(node, Estimate), self.train.fill)
            fill = FillClean(estimate=value, clean=clean, mask=self.masks[id], out=f"{id}.filled")
            value = self.out.emit(fill, self.image)
        if self.train.gradient == "detached" or id in self.frozen:
            value = self.out.emit(Detach(image=value, out=f"{reader}.below"), self.image)
        return value

    def _behind(self, name: str) -> str:
        """The brick that ran for a network or estimate.

        Under `carry: raw` the estimate of a brick that is left out is made of the network below it.
        """
        node = self.graph[name].node
        ran = self.graph[self.graph[name].inputs["network"]].node if isinstance(node, Estimate) else node
        assert isinstance(ran, Brick | PretrainedNode | AsNetwork)
        return ran.id

    def _stand_in(self, id: str, as_estimate: bool, fill: Literal["x0", "zeros", "model"]) -> Value:
        """What stands where the brick below did not run, in the form in which it is read."""
        match fill:
            case "model":
                condition = self.values[self.graph[brick_name(id)].inputs["condition"]]
                brick = self.shape.brick(id)
                network = lower_rest(self.out, brick, condition, f"{id}.windows")
                network = emit_prediction(self.out, brick, network, f"{id}.rest")
                return self._precondition(network, f"{id}.rest.estimate") if as_estimate else network
            case "x0":
                clean = self.out.input("clean", self.image)
            case "zeros":
                clean = "zeros"
                if not self.out.defines(clean):
                    self.out.emit(NoEstimate(like="x", out=clean), self.image)
        if as_estimate:
            return clean
        op = Unprecondition(clean=clean, image="x", c_skip="c_skip", c_out="c_out", out=f"{id}.clean")
        return self.out.emit(op, self.image)

    def _output(self, entry: Entry) -> None:
        source = entry.inputs["value"]
        if self.train is None:
            self.out.output("estimate", self._result(source))
            return
        id = entry.name.removeprefix(f"{OUTPUT}.")
        self.out.output(f"estimate.{id}", self.values[source])
        if id in self.masks:
            self.out.output(f"mask.{id}", self.masks[id])
        if self.shape.variance_channels:
            self.out.output(f"variance.{id}", self._variance(id))

    def _variance(self, id: str) -> Value:
        """A brick's learned variance; a pretrained one has none: v = 0, halfway between the posterior's and beta."""
        if id in self.networks:
            return emit_variance(self.out, self.shape.brick(id), self.networks[id])
        return self.out.emit(NoEstimate(like="x", out=f"{id}.variance"), self.image)

    def _result(self, source: str) -> Value:
        """The estimate of the brick that runs last, and after its channels those of its variance if it has one."""
        if not self.shape.variance_channels:
            return self.values[source]
        ran = self._behind(source)
        return emit_joined(self.out, ran, self.values[source], self._variance(ran))
