"""From the order in which one brick decodes tokens to the order in which another embeds them, without an image between.

Both orders cut rows and columns of the grid at some sizes: pixel, token, window, grid. Where the sizes of both nest, a
pixel's place is written with the same digits in either order, and going over is one permutation of those digits. So
decoded tokens, and the noisy image, are read as views and written to their places by the arithmetic itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from legoc_runtime.layers.patching import Cutting, merge, partition
from legoc_runtime.layers.scaling import precondition, scale_image

Digit = tuple[int, int]
"""Side (0 rows, 1 columns) and step: a digit of a pixel's row or column, which advances it by so many pixels."""


def join_estimate(
    tokens: Tensor,
    image: Tensor,
    c_skip: Tensor | None,
    c_out: Tensor | None,
    c_in: Tensor,
    coordinates: Tensor | None,
    source: Cutting,
    target: Cutting,
) -> Tensor:
    """What a brick reads, from the tokens that the brick below decoded: its estimate, and the scaled noisy image.

    Args:
        tokens: decoded tokens [N, W, L, p*p*C], laid out (p, p, C), of the layout `source`.
        image: the noisy image [N, C, H, W].
        c_skip: [N], as c_out: the estimate is c_skip * image + c_out * network. None hands the network on as it is.
        c_out: [N], or None.
        c_in: [N], what the noisy image is scaled by.
        coordinates: [2, H, W], appended along channels, or None.
        source: layout of the brick below.
        target: layout of the brick that reads.

    Returns:
        [N, W', L', (2*C [+ 2])*p'*p'], laid out (C, p', p').
    """
    digits = common_digits((image.shape[2], image.shape[3]), source, target)
    tracked = torch.is_grad_enabled() and any(t.requires_grad for t in (tokens, image, c_in))
    if digits is None or coordinates is not None or tracked:
        # an image, put together and cut again: what autograd can follow, and layouts without common digits
        network = merge(tokens, (image.shape[2], image.shape[3]), source[0], source[2], source[1])
        estimate = network if c_skip is None or c_out is None else precondition(image, network, c_skip, c_out)
        return partition([estimate, scale_image(image, c_in)], coordinates, target[0], target[2], target[1])
    noisy = digits.of_image(image.roll((-target[2][0], -target[2][1]), (2, 3)) if target[2] != (0, 0) else image)
    pixels, below, own = digits.room(noisy)
    rows = (-1, *[1] * (noisy.ndim - 1))
    if c_skip is None or c_out is None:
        below.copy_(digits.of_tokens(tokens))
    else:
        torch.mul(digits.of_tokens(tokens), c_out.reshape(rows), out=below)
        below.addcmul_(noisy, c_skip.reshape(rows))
    torch.mul(noisy, c_in.reshape(rows), out=own)
    return pixels


@dataclass(frozen=True)
class CommonDigits:
    """The digits that two layouts share.

    Attributes:
        sizes: how many values each digit has.
        before: digits in the order of the source: windows, tokens, pixels of a token.
        outside: digits of windows and tokens in the order of the target.
        inside: digits of the pixels of a token in the order of the target.
        target: the layout of the result.
    """

    sizes: dict[Digit, int]
    before: tuple[Digit, ...]
    outside: tuple[Digit, ...]
    inside: tuple[Digit, ...]
    target: Cutting

    def of_tokens(self, tokens: Tensor) -> Tensor:
        """Decoded tokens as a view [N, digits outside, C, digits inside]."""
        count = tokens.shape[1] * tokens.shape[2] * tokens.shape[3]
        channels = count // prod(self.sizes.values())
        view = tokens.reshape(-1, *(self.sizes[digit] for digit in self.before), channels)
        return self._ordered(view, self.before, len(self.before) + 1)

    def of_image(self, image: Tensor) -> Tensor:
        """An image [N, C, H, W] as a view of that form."""
        digits = tuple(sorted(self.sizes, key=_outermost))
        return self._ordered(image.reshape(*image.shape[:2], *(self.sizes[d] for d in digits)), (None, *digits), 1)

    def room(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixel tokens [N, W, L, 2*C*p*p] to be filled, and both halves of their channels as views of that form."""
        place = 1 + len(self.outside)
        channels, numbers = like.shape[place], prod(self.sizes.values())
        (down, across), p, _ = self.target
        length = down * across // p**2
        pixels = like.new_empty(like.shape[0], numbers // (down * across), length, 2 * channels * p**2)
        view = pixels.view(*like.shape[:place], 2 * channels, *like.shape[place + 1 :])
        return pixels, view.narrow(place, 0, channels), view.narrow(place, channels, channels)

    def _ordered(self, view: Tensor, axes: tuple[Digit | None, ...], channels: int) -> Tensor:
        places = {digit: axis for axis, digit in enumerate(axes, start=1)}
        outside, inside = ([places[digit] for digit in some] for some in (self.outside, self.inside))
        return view.permute(0, *outside, channels, *inside)


def common_digits(grid: tuple[int, int], source: Cutting, target: Cutting) -> CommonDigits | None:
    """The digits of two layouts of a grid, or None where they have none in common.

    They have some where windows start at the same place and, of the sides of tokens and windows, each divides the next
    larger one.
    """
    sizes: dict[Digit, int] = {}
    for side in (0, 1):
        steps = sorted({1, source[1], source[0][side], target[1], target[0][side], grid[side]})
        if source[2] != target[2] or any(upper % lower for lower, upper in pairwise(steps)):
            return None
        sizes.update({(side, lower): upper // lower for lower, upper in pairwise(steps)})
    outside, inside = _split(sizes, target)
    return CommonDigits(sizes, (*(b := _split(sizes, source))[0], *b[1]), outside, inside, target)


def _split(sizes: dict[Digit, int], cutting: Cutting) -> tuple[tuple[Digit, ...], tuple[Digit, ...]]:
    """Digits in the order of a layout: those of windows and tokens, and those inside a token; each rows first."""
    window, p, _ = cutting
    groups: tuple[list[Digit], ...] = ([], [], [])
    for side, step in sorted(sizes, key=_outermost):
        groups[0 if step >= window[side] else 1 if step >= p else 2].append((side, step))
    return (*groups[0], *groups[1]), tuple(groups[2])


def _outermost(digit: Digit) -> Digit:
    return digit[0], -digit[1]
