"""Bytes of weights and activations, by formula.

The formulas count what the eager linked module holds, tensor by tensor, with a fused attention kernel (no L x L matrix
is kept). D is the width, M the hidden features of the MLP, in numbers a token:

| where | held for the backward pass |
|---|---|
| attention half | input D, its norm D, modulated D, q k v 3 D, mixed D, projected D: 8 D, and log-sum-exp, one a head |
| MLP half | input D, its norm D, modulated D, hidden M before and M after GELU, output D: 4 D + 2 M |
| decoder | input D, its norm D, modulated D: 3 D |
| embedding | the cut pixels: in_features |

and two numbers (mean, reciprocal deviation) for each norm. While sampling nothing is kept: the peak is an MLP half,
input D and hidden M twice, in the brick with the most of it, and the images beside it. What a pretrained brick holds
inside is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from legoc.cost.counts import parameters, trainable_parameters
from legoc_runtime.contract.curriculum import Variant, images_by_variant
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import BrickShape, StackShape

Precision = Literal["float32", "bfloat16"]
BYTES: dict[Precision, int] = {"float32": 4, "bfloat16": 2}

OPTIMIZER_MOMENTS = 2
"""Running moments that AdamW keeps for each weight."""

IMAGES_HELD = 6
"""Images of the grid that a brick's estimate, preconditioning and loss hold while training."""


@dataclass(frozen=True, slots=True)
class MemoryCost:
    """Bytes. Activations are for one image.

    Attributes:
        weights: precision -> the weights alone.
        training_state: float32 weights, gradients, AdamW's moments and every moving average.
        sampling_activations: precision -> peak while sampling, one row (guidance runs two).
        training_activations: precision -> held for the backward pass of one image.
    """

    weights: dict[Precision, int]
    training_state: int
    sampling_activations: dict[Precision, int]
    training_activations: dict[Precision, int]


def memory(shape: StackShape, train: TrainSettings | None = None) -> MemoryCost:
    """The memory of a stack.

    Args:
        shape: the stack.
        train: the `train:` section; None is the defaults.
    """
    train = train or TrainSettings()
    return MemoryCost(
        weights={precision: size * parameters(shape) for precision, size in BYTES.items()},
        training_state=state_bytes(shape, train),
        sampling_activations={p: size * sampling_numbers(shape) for p, size in BYTES.items()},
        training_activations={p: size * training_numbers(shape, train) for p, size in BYTES.items()},
    )


def state_bytes(shape: StackShape, train: TrainSettings) -> int:
    """Bytes of weights, gradients, moments and averages of a training run; of what is frozen for good the weights."""
    count = trainable_parameters(shape)
    fixed = 4 * (parameters(shape) - count)
    return training_state_bytes(count, len(train.ema) + len(train.ema_profiles)) + fixed


def training_state_bytes(count: int, averages: int) -> int:
    """Bytes that a training run keeps for `count` parameters: weight, gradient, moments, averages, all float32."""
    return 4 * (2 + OPTIMIZER_MOMENTS + averages) * count


def training_numbers(shape: StackShape, train: TrainSettings | None = None) -> int:
    """Numbers held for the backward pass of one image; a brick that trains on a share of its windows holds that.

    Under `fill: model` also what runs once without gradient: nothing of it is kept, but at its peak it stands beside
    what is (an upper bound: all of that is not there yet where a brick below the top runs). With stages it is that of
    the one which holds most.

    Args:
        shape: the stack.
        train: the `train:` section; None is the defaults.
    """
    train = train or TrainSettings()
    reached = [variant for variant, images in images_by_variant(shape.ids, train, shape.fixed).items() if images]
    return max(_held(shape, train, variant) for variant in reached)


def _held(shape: StackShape, train: TrainSettings, variant: Variant) -> int:
    grid = prod(shape.grid) * shape.channels
    bricks = shape.own(variant.bricks)
    modulation = sum((6 * brick.depth + 2) * brick.width for brick in bricks)
    learning = shape.own(variant.learning)
    inside = [_trained(brick) for brick in learning]
    networks = sum(inside)
    if train.checkpoint_activations == "bricks":
        # a brick keeps what goes in, and what is inside one at a time
        networks = max(inside, default=0) + sum(b.windows_trained * b.tokens * b.in_features for b in learning)
    held = networks + IMAGES_HELD * grid * len(bricks) + modulation
    passing = {brick: brick.windows for brick in bricks if brick.id in variant.frozen}
    if train.fill == "model":
        passing |= {b: b.windows - b.windows_trained for b in learning if b.id != variant.learning[-1]}
    return held + max((_run(brick, windows) for brick, windows in passing.items() if windows), default=0)


def _trained(brick: BrickShape) -> int:
    width, tokens = brick.width, brick.windows_trained * brick.tokens
    attention = 8 * width + brick.heads + 2
    mlp = 4 * width + 2 * brick.mlp_width + 2
    ends = brick.in_features + 3 * width + 2
    return tokens * (brick.depth * (attention + mlp) + ends)


def sampling_numbers(shape: StackShape, bricks: Sequence[str] | None = None) -> int:
    """Numbers held at the peak of a forward pass without gradients, one row.

    Args:
        shape: the stack.
        bricks: ids of the bricks that run; None is all of them.
    """
    ids = shape.ids if bricks is None else bricks
    images = (shape.channels * 3 + 2) * prod(shape.grid)
    return images + max((_run(brick, brick.windows) for brick in shape.own(ids)), default=0)


def _run(brick: BrickShape, windows: int) -> int:
    """Numbers at the peak of so many windows of a brick without gradients."""
    mlp = brick.width + 2 * brick.mlp_width
    attention = 5 * brick.width
    return windows * brick.tokens * max(mlp, attention) + 6 * brick.width
