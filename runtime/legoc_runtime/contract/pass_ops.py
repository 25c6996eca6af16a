"""Operations that passes over programs bring in; lowering emits none of them. Legend: see `contract/value_types.py`.

Pixel tokens hold pixels or decoded numbers, not features: [N, W, L, channels * p * p] for tokens of p x p pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from legoc_runtime.contract.stack import CoordinateOrder, Layout
from legoc_runtime.contract.value_types import Tokens, Value


def pixel_tokens(channels: int, grid: tuple[int, int], layout: Layout) -> Tokens:
    """The type of an image's pixel tokens."""
    (down, across), pixels = layout.window, layout.receptive_field**2
    return Tokens(grid[0] // down * (grid[1] // across), down * across // pixels, channels * pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinEstimate:
    """What a brick reads, straight from what the brick below decoded: its estimate and the scaled noisy image, cut.

    `Merge` of `tokens` by `source`; `Precondition` with `c_skip` and `c_out`, unless they are None (`carry: raw`);
    `ScaleImage` of `image` by `c_in`; `Partition` of both, and of the coordinates, by `target`.
    """

    name: ClassVar[str] = "join_estimate"
    brick: str
    tokens: Value
    image: Value
    c_skip: Value | None
    c_out: Value | None
    c_in: Value
    coordinates: CoordinateOrder
    source: Layout
    target: Layout
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedChannels:
    """`Embed` of tokens that hold `count` input channels of the brick from channel `first` on; the others are zero."""

    name: ClassVar[str] = "embed_channels"
    brick: str
    first: int
    count: int
    tokens: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedFolded:
    """`EmbedChannels` of a brick's images, to which the part that no image changes is added as one constant.

    That is columns * coordinates (cut by `layout`) + bias + position: [W, L, D], or [1, L, D] where `coordinates` is
    `none`. Without gradients it is computed once for every state of the weights; with them, in the graph.
    """

    name: ClassVar[str] = "embed_folded"
    brick: str
    first: int
    count: int
    coordinates: CoordinateOrder
    layout: Layout
    tokens: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulateTogether:
    """The modulation layers of `bricks` as one matrix product: of each brick those of its blocks, then its last one."""

    name: ClassVar[str] = "modulate_together"
    bricks: tuple[str, ...]
    condition: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitModulations:
    """What a brick's `Modulate` operations would give, read out of `joined` from feature `start` on, each contiguous.

    `outs` are those of its blocks, then that of its last layer.
    """

    name: ClassVar[str] = "split_modulations"
    brick: str
    joined: Value
    start: int
    outs: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The same numbers in the type of the `weights`, or in that of the `state`.

    The state (noisy image, noise level, estimates) is float32, and float64 where the weights are.
    """

    name: ClassVar[str] = "cast"
    value: Value
    to: Literal["weights", "state"]
    out: Value
