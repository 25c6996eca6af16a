"""Multiply-accumulates that the modules of a build really run, beside the paper's convention (`legoc.cost.counts`).

The difference is what passes save and what is looked up: a label is never multiplied, nor are the zeros of an estimate
that is not there, nor the coordinates of a brick whose constant is folded.
"""

from __future__ import annotations

from functools import partial

from legoc.cost.counts import (
    TRAINING_OVER_FORWARD,
    adaln_macs,
    conditioning_macs,
    label_macs,
    macs,
    mean_over_images,
    passes_gradient,
    pretrained_macs,
    pretrained_training_macs,
    rest_macs,
    window_macs,
)
from legoc.lower.passes.fold_constants import FoldConstants, constant_bytes
from legoc_runtime.contract.curriculum import Variant
from legoc_runtime.contract.pass_ops import EmbedChannels, EmbedFolded, ModulateTogether
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.program import (
    Attend,
    Condition,
    Decode,
    Embed,
    Mlp,
    Modulate,
    Op,
    Pretrained,
    Program,
    Value,
)
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import TIME_FREQUENCIES, BrickShape, StackShape
from legoc_runtime.contract.value_types import Tokens, Vector


def executed_macs(shape: StackShape, configuration: Configuration | None = None, *, ahead: bool = False) -> int:
    """MACs that the modules really run in one forward pass, after all exact passes.

    Args:
        shape: the stack.
        configuration: ids of the bricks that run; None runs all.
        ahead: leave the conditioning out, embedders and adaLN projections, as when it was computed before.

    Raises:
        KeyError: the configuration names a brick that the stack does not have.
    """
    ids = shape.ids if configuration is None else configuration
    bricks = shape.own(ids)
    saved = label_macs(shape) + sum(channel_macs(brick, _folded(brick)) for brick in bricks)
    if bricks and bricks[0].takes_estimate and ids[0] == bricks[0].id:  # nothing runs below it
        saved += channel_macs(bricks[0], shape.channels)
    if ahead or not bricks:  # a model alone reads no conditioning
        saved += conditioning_macs(shape) - label_macs(shape) + sum(adaln_macs(brick) for brick in bricks)
    return macs(shape, configuration) - saved


def executed_training_macs(shape: StackShape, train: TrainSettings | None = None) -> int:
    """MACs that a step really runs for one image, forward and backward, after all exact passes.

    Against `training_macs`: a label is looked up, coordinates of bricks that run all their windows are folded into a
    constant once a step, and no gradient is formed for what needs none: the noise level, and the pixels of a brick that
    reads no estimate or a detached one (`train: {gradient}`). Attention is counted as four products backward; kernels
    that recompute it run a fifth one. What `checkpoint_activations: bricks` computes again counts again. With stages
    the mean over the images of a run.

    Args:
        shape: the stack.
        train: the `train:` section; None is the defaults.
    """
    train = train or TrainSettings()
    return mean_over_images(shape, train, partial(_executed_of, shape, train))


def _executed_of(shape: StackShape, train: TrainSettings, variant: Variant) -> int:
    """MACs of one image in a step of a variant."""
    total = conditioning_macs(shape) - label_macs(shape)
    if not variant.frozen:
        total = TRAINING_OVER_FORWARD * total - 2 * TIME_FREQUENCIES * shape.condition_width
    total += pretrained_training_macs(shape, train, variant)
    for brick in shape.own(variant.bricks):
        place = variant.bricks.index(brick.id)
        learns = brick.id in variant.learning
        windows = brick.windows_trained if learns else brick.windows
        folded = _folded(brick) if windows == brick.windows else 0
        forward = windows * window_macs(brick) + adaln_macs(brick) - channel_macs(brick, folded)
        total += TRAINING_OVER_FORWARD * forward if learns else forward
        if learns and train.checkpoint_activations == "bricks":
            total += _computed_again(brick)
        if learns and variant.frozen:
            total -= adaln_macs(brick)  # the embedders are frozen: no gradient of the conditioning
        if learns and not (place and passes_gradient(train, variant, variant.bricks[place - 1])):
            total -= channel_macs(brick, brick.in_channels - folded) * windows // brick.windows
    return total + rest_macs(shape, train, variant)


def _computed_again(brick: BrickShape) -> int:
    """MACs of a brick's network in the backward pass: all but what nothing in it reads, the decoder's product.

    An embedding that adds a folded constant stands outside the network.
    """
    outside = brick.out_features
    if brick.windows_trained == brick.windows and constant_bytes(brick) <= FoldConstants.max_bytes:
        outside += brick.in_features
    return brick.windows_trained * (window_macs(brick) - brick.tokens * outside * brick.width)


def channel_macs(brick: BrickShape, channels: int) -> int:
    """MACs of embedding so many channels of an image."""
    return brick.windows * brick.tokens * channels * brick.receptive_field**2 * brick.width


def _folded(brick: BrickShape) -> int:
    """Coordinate channels that are in the brick's constant."""
    return brick.coordinates if constant_bytes(brick) <= FoldConstants.max_bytes else 0


def program_macs(program: Program, shape: StackShape) -> int:
    """MACs of one image through a program as it is, whatever passes made it."""
    return sum(_op_macs(op, program, shape) for op in program.ops)


def constant_macs(program: Program, shape: StackShape) -> int:
    """MACs of the constants that a program folds: once a step in training, once for all in sampling."""
    bricks = [shape.brick(op.brick) for op in program.ops if isinstance(op, EmbedFolded) and op.coordinates != "none"]
    return sum(channel_macs(brick, brick.coordinates) for brick in bricks)


def _op_macs(op: Op, program: Program, shape: StackShape) -> int:
    def size(value: Value) -> Tokens:
        type = program.types[value]
        assert isinstance(type, Tokens)
        return type

    match op:
        case Condition():
            return conditioning_macs(shape) - label_macs(shape)
        case Modulate(out=out) | ModulateTogether(out=out):
            type = program.types[out]
            assert isinstance(type, Vector)
            return type.features * shape.condition_width
        case (
            Embed(tokens=tokens, out=out) | EmbedChannels(tokens=tokens, out=out) | EmbedFolded(tokens=tokens, out=out)
        ):
            return _numbers(size(tokens)) * size(out).features
        case Decode(tokens=tokens, out=out):
            return _numbers(size(tokens)) * size(out).features
        case Attend(tokens=tokens):
            type = size(tokens)
            return _numbers(type) * (4 * type.features + 2 * type.tokens)
        case Pretrained(brick=id):
            given = shape.runs_pretrained((id,))
            return 0 if given is None else pretrained_macs(given) or 0
        case Mlp(brick=brick, tokens=tokens):
            return _numbers(size(tokens)) * 2 * shape.brick(brick).mlp_width
        case _:
            return 0


def _numbers(type: Tokens) -> int:
    """Numbers of one image in a value."""
    return type.windows * type.tokens * type.features
