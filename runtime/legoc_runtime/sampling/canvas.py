"""A stack on a canvas: the whole stack predicts inside sliding windows, and overlaps are averaged (Appendix D.3).

A window is cut out of the noisy canvas and is to the stack what a picture is: its coordinates are those that it was
trained with. Windows meet at every evaluation, in the state of the sampler: so far parts of a canvas come to agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from legoc_runtime.contract.canvas import Canvas, Row
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.sampler import Stack


@dataclass(frozen=True, slots=True)
class _Piece:
    """One row of the canvas for some of the pictures, `first` to `end` - 1."""

    row: Row
    first: int
    end: int


class OnCanvas:
    """A stack over canvases [N,C,H,W] of one size. It fits `Stack`: guidance and samplers see nothing of windows.

    A place's estimate is the mean over the windows that hold it, summed in the order of the windows whatever the batch.
    Regions are blended: within a window each class has an estimate of its own, weighted place by place; the weights of
    all classes are 1 together. Where a label is the null label it stays the null label.
    """

    def __init__(self, stack: Stack, canvas: Canvas, null: int | None, rows_at_once: int) -> None:
        """Wrap `stack`.

        Args:
            stack: takes windows.
            canvas: where they lie.
            null: the null label; None for an unconditional stack.
            rows_at_once: rows of a call of the stack, 1 or more: memory is bounded by them.

        Raises:
            UsageError: less than one row at once.
        """
        if rows_at_once < 1:
            raise UsageError(f"a call takes 1 window or more at once, got {rows_at_once}")
        self._stack = stack
        self._canvas = canvas
        self._null = null
        self._at_once = rows_at_once
        self._rows = canvas.rows()
        self._weights: Tensor | None = None
        self._counts: Tensor | None = None

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
    ) -> Tensor:
        """The estimate of the canvases: see `sampler.Stack`.

        Raises:
            UsageError: the canvases have another size.
        """
        if tuple(x.shape[2:]) != self._canvas.size:
            raise UsageError(f"`x` is {tuple(x.shape)}; the canvas is {self._canvas.size[0]}x{self._canvas.size[1]}")
        wide = self._unrolled(x)
        total: Tensor | None = None
        for pieces in self._calls(len(x)):
            estimates = self._estimates(wide, sigma, labels, pieces, configuration)
            if total is None:
                total = estimates.new_zeros((len(x), estimates.shape[1], *wide.shape[2:]))
            place = 0
            for piece in pieces:
                estimate = estimates[place : (place := place + piece.end - piece.first)]
                here = self._cut(total[piece.first : piece.end], piece.row)
                here += estimate if not self._canvas.regions else estimate * self._weight(piece.row, estimate)
        assert total is not None
        return self._rolled(total) / self._count(total)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """What the wrapped stack runs."""
        return self._stack.bricks_run(configuration)

    def _calls(self, pictures: int) -> Iterator[list[_Piece]]:
        """The rows of an evaluation, window by window, in calls of at most `rows_at_once` rows."""
        pieces: list[_Piece] = []
        room = self._at_once
        for row in self._rows:
            first = 0
            while first < pictures:
                end = min(pictures, first + room)
                pieces.append(_Piece(row, first, end))
                room -= end - first
                first = end
                if room == 0:
                    yield pieces
                    pieces, room = [], self._at_once
        if pieces:
            yield pieces

    def _estimates(
        self,
        wide: Tensor,
        sigma: Tensor,
        labels: Tensor | None,
        pieces: list[_Piece],
        configuration: Configuration | None,
    ) -> Tensor:
        """The estimates of a call's windows, piece after piece."""
        windows = torch.cat([self._cut(wide[piece.first : piece.end], piece.row) for piece in pieces])
        sigmas = sigma if sigma.ndim == 0 else torch.cat([sigma[piece.first : piece.end] for piece in pieces])
        own = None if labels is None else torch.cat([self._labels(labels, piece) for piece in pieces])
        return self._stack(windows, sigmas, own, configuration=configuration)

    def _labels(self, labels: Tensor, piece: _Piece) -> Tensor:
        own = labels[piece.first : piece.end]
        if piece.row.region is None:
            return own
        return torch.where(own == self._null, own, self._canvas.regions[piece.row.region].label)

    def _cut(self, wide: Tensor, row: Row) -> Tensor:
        """The view of a window [..., h, w]."""
        height, width = self._canvas.window
        return wide[..., row.top : row.top + height, row.left : row.left + width]

    def _unrolled(self, x: Tensor) -> Tensor:
        """A canvas that wraps around, with its first columns once more at the right, so that each window is a view."""
        return torch.cat([x, x[..., : self._canvas.window[1] - 1]], dim=-1) if self._canvas.wrap else x

    def _rolled(self, wide: Tensor) -> Tensor:
        """Sums over an unrolled canvas [..., H, W + w - 1] as sums over the canvas."""
        width = self._canvas.size[1]
        if wide.shape[-1] == width:
            return wide
        more = self._canvas.window[1] - 1
        return torch.cat([wide[..., :more] + wide[..., width:], wide[..., more:width]], dim=-1)

    def _count(self, like: Tensor) -> Tensor:
        """How many windows hold each place [H,W]."""
        if self._counts is None:
            wide = like.new_zeros(like.shape[2:])
            for top in self._canvas.tops:
                for left in self._canvas.lefts:
                    here = self._cut(wide, Row(top, left, None))
                    here += 1
            self._counts = self._rolled(wide)
        return self._counts

    def _weight(self, row: Row, like: Tensor) -> Tensor:
        """The share of a row's class in the places of its window [h,w]."""
        if self._weights is None:
            self._weights = self._unrolled(_shares(self._canvas).to(like))
        return self._cut(self._weights[0 if row.region is None else row.region + 1], row)


def _shares(canvas: Canvas) -> Tensor:
    """The share of the picture's own class, then of every region's, in each place: float64 [regions + 1, H, W]."""
    shares = [torch.ones(canvas.size, dtype=torch.float64)]
    for region in canvas.regions:
        down, across = (torch.tensor(fade, dtype=torch.float64) for fade in canvas.fades(region))
        over = down[:, None] * across
        shares = [*(share * (1 - over) for share in shares), over]
    return torch.stack(shares)
