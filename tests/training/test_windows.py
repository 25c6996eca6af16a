"""Windows drawn one inside the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from legoc_runtime.contract.nesting import enclosing, nests
from legoc_runtime.contract.settings import Patches
from legoc_runtime.contract.stack import BrickShape, Layout, StackShape
from legoc_runtime.errors import UsageError
from legoc_runtime.layers.patching import window_mask
from legoc_runtime.training.windows import check_nested, draw_windows
from tests.stacks import stack


def sampled(shares: Sequence[float], *windows: int | tuple[int, int], offsets: Sequence[Any] = ()) -> StackShape:
    count = len(windows)
    shape = stack(
        windows,
        grid=(16, 16),
        receptive_fields=(2,) * count,
        depths=(1,) * count,
        widths=(16,) * count,
        ids=tuple("abcd"[:count]),
        train_patches=shares,
    )
    offsets = offsets or [(0, 0)] * count
    return replace(shape, bricks=tuple(replace(b, offset=o) for b, o in zip(shape.bricks, offsets, strict=True)))


def areas(shape: StackShape, patches: Patches, position: int) -> list[torch.Tensor]:
    """The pixels that each brick trains on, [H, W] of truth values, in the order of the bricks."""
    drawn = draw_windows(shape, patches, 7, position)
    return [_area(brick, drawn[brick.id]) for brick in shape.bricks]


def _area(brick: BrickShape, index: np.ndarray[Any, Any]) -> torch.Tensor:
    return window_mask(torch.from_numpy(index)[None], brick.grid, brick.window, brick.offset)[0, 0] > 0  # pyright: ignore[reportUnknownMemberType]


STACKS = {
    "fine below": sampled((0.5, 0.25), 2, 8),
    "coarse below": sampled((0.25, 0.75), 8, 4),
    "equal shares": sampled((0.5, 0.5, 0.5), 2, 4, 8),
    "up and down": sampled((0.5, 0.75, 0.25, 0.5), 8, 2, 4, 8),
    "rectangles": sampled((0.5, 0.5), (2, 4), (4, 8)),
    "offsets": sampled((0.5, 0.25), 2, 8, offsets=((1, 1), (5, 3))),
}


@pytest.mark.parametrize("name", STACKS)
def test_of_two_areas_the_smaller_lies_inside_the_larger(name: str) -> None:
    shape = STACKS[name]
    for position in range(20):
        found = areas(shape, "nested", position)
        for one in found:
            for other in found:
                assert not ((one & ~other).any() and (other & ~one).any())
        for brick, area in zip(shape.bricks, found, strict=True):
            assert area.sum() == brick.windows_trained * 256 // brick.windows


def test_equal_shares_of_the_grid_are_the_same_area_and_independent_ones_are_not() -> None:
    shape = STACKS["equal shares"]
    first, *others = areas(shape, "nested", 3)
    assert all(torch.equal(first, other) for other in others)
    first, *others = areas(shape, "independent", 3)
    assert not any(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("name", ["up and down", "offsets"])
def test_every_window_is_drawn_as_often(name: str) -> None:
    shape = STACKS[name]
    for brick in shape.bricks:
        drawn = np.concatenate([draw_windows(shape, "nested", 7, position)[brick.id] for position in range(400)])
        counts = np.bincount(drawn, minlength=brick.windows)
        expected = 400 * brick.windows_trained / brick.windows
        assert counts.min() > 0.7 * expected
        assert counts.max() < 1.3 * expected


def test_independent_windows_are_those_of_versions_before() -> None:
    """The streams of runs that exist: brick by place, permutation cut off."""
    found = draw_windows(STACKS["fine below"], "independent", 7, 11)["b"]
    from legoc_runtime.randomness import Purpose, stream

    assert found.tolist() == sorted(stream(7, Purpose.WINDOWS, 11, 1).permutation(4)[:1].tolist())


def test_windows_that_do_not_nest_are_refused_by_name() -> None:
    check_nested(STACKS["offsets"])
    check_nested(sampled((1.0, 0.5), (16, 4), 8))  # the first one runs all its windows
    for shape in (sampled((0.5, 0.5), (16, 4), 8), sampled((0.5, 0.5), 2, 8, offsets=((0, 0), (1, 0)))):
        with pytest.raises(UsageError, match=r"brick `.` do not nest in those of brick `.`"):
            check_nested(shape)


def test_enclosing_windows_by_pixels() -> None:
    inner, outer = STACKS["offsets"].bricks
    assert nests(inner.layout, outer.layout)
    assert not nests(Layout((2, 2), 1), Layout((8, 8), 1, (1, 0)))
    for index, parent in enumerate(enclosing(inner, outer)):
        small, large = (_area(brick, np.array([i])) for brick, i in ((inner, index), (outer, parent)))
        assert not (small & ~large).any()
