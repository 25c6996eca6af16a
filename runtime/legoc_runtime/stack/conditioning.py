"""The conditioning part of a configuration: noise levels and labels to what the body of an evaluation reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from legoc_runtime.backends.base import Module

BUCKET_ROWS = 16
"""Rows of conditioning that are computed together where they must not depend on what else is computed.

A matrix product of another number of rows may be summed in another order, so the same row among 3 and among 64 differs
by rounding. Among exactly 16 it has the same bits wherever it stands and whatever stands beside it (seen on CPUs).
Fewer
would waste reads of the weights, more would waste rows; full vector registers leave element-wise functions no tail.
"""

Values = tuple[Tensor, ...]
"""The values that cross from conditioning to body, in the order of `Split.crossing`; each has an image axis first."""


class Conditioning:
    """Runs the conditioning part.

    Args:
        run: the linked part; takes levels [N] and, for a conditional stack, labels [N].
        crossing: how many values it gives.
    """

    def __init__(self, run: Module, crossing: int) -> None:
        self._run = run
        self._crossing = crossing

    def __call__(self, levels: Tensor, labels: Tensor | None) -> Values:
        """The values for levels [N] and labels [N], all rows at once."""
        results = self._run(levels) if labels is None else self._run(levels, labels)
        return (cast("Tensor", results),) if self._crossing == 1 else cast("Values", results)

    def buckets(self, levels: Tensor, labels: Tensor | None) -> Iterator[tuple[slice, Values]]:
        """The values in pieces of `BUCKET_ROWS` rows: the rows meant, and values [BUCKET_ROWS, ...].

        The last piece is filled up with its last row; only the rows meant count.
        """
        for start in range(0, len(levels), BUCKET_ROWS):
            rows = slice(start, min(start + BUCKET_ROWS, len(levels)))
            yield rows, self(_filled(levels[rows]), None if labels is None else _filled(labels[rows]))

    def apart(self, levels: Tensor, labels: Tensor | None) -> Values:
        """The values for levels [N] and labels [N], each row the same bits as alone."""
        pieces = [
            tuple(value[: rows.stop - rows.start] for value in values) for rows, values in self.buckets(levels, labels)
        ]
        if len(pieces) == 1:
            return pieces[0]
        return tuple(torch.cat(parts) for parts in zip(*pieces, strict=True))


def _filled(rows: Tensor) -> Tensor:
    lack = BUCKET_ROWS - len(rows)
    return torch.cat([rows, rows[-1:].expand(lack)]) if lack else rows
