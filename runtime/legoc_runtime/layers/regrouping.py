"""From the order in which one brick decodes tokens to the order in which another embeds them, without an image between.

Both orders cut rows and columns of the grid at some sizes: pixel, token, window, grid. Where the sizes of both nest, a
token's number is found by the same digits in either order, and going over is one permutation of those digits.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from legoc_runtime.layers.patching import Cutting, cut, merge

Digit = tuple[int, int]
"""Side (0 rows, 1 columns) and step: a digit of a pixel's row or column, which advances it by so many pixels."""


def regroup(tokens: Tensor, grid: tuple[int, int], source: Cutting, target: Cutting) -> Tensor:
    """Decoded tokens [N, W, L, p*p*C], laid out (p, p, C), as pixel tokens [N, W', L', C*p'*p'], laid out (C, p', p').

    One permutation where windows start at the same place and, of the sides of tokens and windows, each divides the next
    larger one; otherwise the image is put together and cut again.
    """
    steps = [_steps(grid[side], source, target, side) for side in (0, 1)]
    if source[2] != target[2] or any(upper % lower for sides in steps for lower, upper in pairwise(sides)):
        return cut(merge(tokens, grid, source[0], source[2], source[1]), target)
    sizes = {(side, lower): upper // lower for side in (0, 1) for lower, upper in pairwise(steps[side])}
    outside, inside = _digits(sizes, source)
    before = [*outside, *inside]
    channels = tokens.shape[3] // source[1] ** 2
    places = {digit: axis for axis, digit in enumerate(before, start=1)}
    outside, inside = _digits(sizes, target)
    order = [*(places[digit] for digit in outside), len(before) + 1, *(places[digit] for digit in inside)]
    moved = tokens.reshape(-1, *(sizes[digit] for digit in before), channels).permute(0, *order)
    (down, across), p, _ = target
    length = down * across // p**2
    return moved.reshape(-1, grid[0] * grid[1] // (down * across), length, channels * p**2)


def _steps(side_length: int, source: Cutting, target: Cutting, side: int) -> list[int]:
    """Sizes at which either layout cuts a side of the grid, from one pixel to all of it."""
    return sorted({1, source[1], source[0][side], target[1], target[0][side], side_length})


def _digits(sizes: dict[Digit, int], cutting: Cutting) -> tuple[list[Digit], list[Digit]]:
    """Digits in the order of a layout: those of windows and tokens, and those inside a token; each rows first."""
    window, p, _ = cutting
    groups: tuple[list[Digit], ...] = ([], [], [])
    for side, step in sorted(sizes, key=lambda digit: (digit[0], -digit[1])):
        group = 0 if step >= window[side] else 1 if step >= p else 2
        groups[group].append((side, step))
    windows, tokens, pixels = groups
    return [*windows, *tokens], pixels
