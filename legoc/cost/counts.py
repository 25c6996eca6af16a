"""Parameters and multiply-accumulates of a stack, exactly.

A multiply-accumulate (MAC) is one product added to a sum; it is two floating-point operations (FLOPs). Matrix
products and attention are counted, as by PyTorch's flop counter; norms, activations and other element-wise
work count nothing. Every count is for one image. Conditioning (the embedders and every adaLN projection) is
computed once an image, never once a window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod

from legoc_runtime.contract.curriculum import Variant, images_by_variant
from legoc_runtime.contract.policy import Configuration, TruthTable
from legoc_runtime.contract.schedule import Evaluation
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import (
    TIME_FREQUENCIES,
    BrickShape,
    PretrainedShape,
    StackShape,
    brick_weights,
    conditioning_weights,
    weight_shapes,
)

FLOPS_PER_MAC = 2
"""Floating-point operations of one multiply-accumulate."""

TRAINING_OVER_FORWARD = 3
"""MACs of a training step over those of its forward pass. The backward pass forms two products for each
product of the forward: the gradients of its input and of its weight. Recomputation and the optimizer
are left out."""

GUIDED_ROWS = 2
"""Rows that a guided evaluation runs for one image: with its label, and with the null label."""


def _count(weights: Iterable[tuple[str, tuple[int, ...]]]) -> int:
    return sum(prod(shape) for _, shape in weights)


@lru_cache(maxsize=512)
def brick_parameters(brick: BrickShape) -> int:
    """Trainable parameters of one brick."""
    return _count(brick_weights(brick))


@lru_cache(maxsize=512)
def conditioning_parameters(shape: StackShape) -> int:
    """Trainable parameters of the embedders that all bricks share."""
    return _count(conditioning_weights(shape))


def parameters(shape: StackShape) -> int:
    """Parameters of the stack, of its pretrained brick too. Position and coordinate tables are constants: nothing."""
    given = 0 if shape.pretrained is None else pretrained_parameters(shape.pretrained)
    return conditioning_parameters(shape) + sum(brick_parameters(brick) for brick in shape.bricks) + given


def trainable_parameters(shape: StackShape) -> int:
    """Parameters that training changes: all but those of a frozen pretrained brick."""
    return _count(weight_shapes(shape).items())


def pretrained_parameters(shape: PretrainedShape) -> int:
    """Parameters of a pretrained brick; 0 where its files were not opened yet, as those of a module before a build."""
    return _count(shape.weights)


def pretrained_macs(shape: PretrainedShape) -> int | None:
    """MACs of one image through a pretrained brick; None where it is not a stack, and nothing tells them."""
    return None if shape.stack is None else macs(shape.stack)


def window_macs(brick: BrickShape) -> int:
    """MACs of one window through a brick, without its adaLN projections.

    With L tokens of width D, an MLP of M hidden features, tokens of r x r pixels and C_in channels in, C out:
    depth * (4 L D^2 + 2 L^2 D + 2 L D M) + L r^2 (C_in + C) D.
    """
    tokens, width = brick.tokens, brick.width
    projections = 4 * tokens * width**2
    attention = 2 * tokens**2 * width
    mlp = 2 * tokens * width * brick.mlp_width
    ends = tokens * (brick.in_features + brick.out_features) * width
    return brick.depth * (projections + attention + mlp) + ends


def adaln_macs(brick: BrickShape) -> int:
    """MACs of the adaLN projections of a brick, once an image: six vectors a block, two in the decoder."""
    return (6 * brick.depth + 2) * brick.width * brick.condition_width


def brick_macs(brick: BrickShape) -> int:
    """MACs of one image through a brick: all its windows, and its adaLN projections once."""
    return brick.windows * window_macs(brick) + adaln_macs(brick)


def conditioning_macs(shape: StackShape) -> int:
    """MACs of the embedders for one image.

    The `linear` label form counts as a product with a one-hot label, as in counts of the released models,
    although the runtime looks it up; a label table counts nothing.
    """
    width = shape.condition_width
    return 2 * TIME_FREQUENCIES * width + width**2 + label_macs(shape)


def label_macs(shape: StackShape) -> int:
    """MACs of the `linear` label form as a product, which is never run; none for a table."""
    return shape.classes * shape.condition_width if shape.classes is not None and shape.label_form == "linear" else 0


def macs(shape: StackShape, configuration: Configuration | None = None, rows: Mapping[str, int] | None = None) -> int:
    """MACs of one forward pass at batch 1.

    Args:
        shape: the stack.
        configuration: ids of the bricks that run; None runs all.
        rows: on a canvas, how often each brick runs on a whole grid (`Canvas.rows_by_brick`); None is once.

    Raises:
        KeyError: the configuration names a brick that the stack does not have.

    A pretrained brick counts where its MACs are known (`pretrained_macs`).
    """
    ids = shape.ids if configuration is None else configuration
    given = shape.runs_pretrained(ids)
    whole = 0 if given is None else pretrained_macs(given) or 0
    if rows is None:
        return whole + conditioning_macs(shape) + sum(map(brick_macs, shape.own(ids)))
    own = sum(rows[brick.id] * brick_macs(brick) for brick in shape.own(ids))
    return max(rows.values()) * (whole + conditioning_macs(shape)) + own


def training_macs(shape: StackShape, train: TrainSettings | None = None) -> int:
    """MACs of one training image: `TRAINING_OVER_FORWARD` forward passes over the windows it trains on.

    Under `fill: model`, one forward pass over the others besides (`rest_macs`). With stages the mean over the images
    of a run, in which a brick that is frozen takes one forward pass over all its windows.

    Args:
        shape: the stack.
        train: the `train:` section; None is the defaults.
    """
    train = train or TrainSettings()

    def of(variant: Variant) -> int:
        learning, frozen = (shape.own(ids) for ids in (variant.learning, variant.frozen))
        trained = sum(brick.windows_trained * window_macs(brick) + adaln_macs(brick) for brick in learning)
        embedders = conditioning_macs(shape) * (1 if variant.frozen else TRAINING_OVER_FORWARD)
        return (
            embedders
            + pretrained_training_macs(shape, train, variant)
            + TRAINING_OVER_FORWARD * trained
            + sum(map(brick_macs, frozen))
            + rest_macs(shape, train, variant)
        )

    return mean_over_images(shape, train, of)


def pretrained_training_macs(shape: StackShape, train: TrainSettings, variant: Variant) -> int:
    """MACs of a pretrained brick for one training image, where they are known.

    Of a frozen one forward alone; where a loss above reaches below it, also the gradients of its inputs; and none where
    nothing that trains stands above.
    """
    given = shape.runs_pretrained(variant.bricks)
    each = 0 if given is None else pretrained_macs(given) or 0
    if given is None or given.id in variant.learning:
        return TRAINING_OVER_FORWARD * each
    if given.id == variant.bricks[-1]:
        return 0
    return each * (TRAINING_OVER_FORWARD - 1 if passes_gradient(train, variant, given.id) else 1)


def passes_gradient(train: TrainSettings, variant: Variant, id: str) -> bool:
    """Whether a loss above a brick reaches through it: to itself where it learns, or to the one below a fixed model."""
    if train.gradient == "detached":
        return False
    if id in variant.fixed and (place := variant.bricks.index(id)):
        return variant.bricks[place - 1] in variant.learning
    return id in variant.learning


def mean_over_images(shape: StackShape, train: TrainSettings, of: Callable[[Variant], int]) -> int:
    """The mean of a number of each variant over the images of a run, rounded down."""
    images = images_by_variant(shape.ids, train, shape.fixed)
    return int(sum(count * of(variant) for variant, count in images.items() if count) / sum(images.values()))


def rest_macs(shape: StackShape, train: TrainSettings, variant: Variant) -> int:
    """MACs of the forward passes that give `fill: model` the estimates of windows not trained on, for one image.

    Nothing reads those of the highest brick that learns.
    """
    if train.fill != "model":
        return 0
    read = shape.own(variant.learning[:-1])
    return sum((brick.windows - brick.windows_trained) * window_macs(brick) for brick in read)


def policy_macs(
    shape: StackShape,
    table: TruthTable,
    evaluations: Sequence[Evaluation],
    rows_by_brick: Mapping[str, int] | None = None,
) -> int:
    """MACs of sampling one image under a policy.

    Args:
        shape: the stack.
        table: which bricks run at which noise level; an evaluation of a guided level runs `GUIDED_ROWS` rows.
        evaluations: the sampler's evaluations, each at one level of the table.
        rows_by_brick: on a canvas, how often each brick runs on a whole grid; None is once.
    """
    forward = {configuration: macs(shape, configuration, rows_by_brick) for configuration in table.distinct()}
    at_level = [
        forward[configuration] * (GUIDED_ROWS if level.guided else 1)
        for level, configuration in zip(table.levels, table.configurations, strict=True)
    ]
    return sum([at_level[evaluation.level] for evaluation in evaluations])
