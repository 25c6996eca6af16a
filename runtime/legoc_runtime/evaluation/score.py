"""The score of a classifier: confident for each picture, varied over all of them (Salimans et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SPLIT = 5000
"""Pictures in a split, as in ADM's evaluator: a set of 50,000 has ten."""


class ScoreSum:
    """Gathers the score split by split, from logits that come batch by batch."""

    def __init__(self, split: int = SPLIT) -> None:
        self._split = split
        self._scores: list[float] = []
        self._clear()

    def _clear(self) -> None:
        self._count = 0
        self._negative_entropy = torch.zeros((), dtype=torch.float64)
        self._mass: Tensor | float = 0.0

    def add(self, logits: Tensor) -> None:
        """Count the logits [N,K] of further pictures in."""
        while len(logits):
            rows = logits[: self._split - self._count]
            log_p = functional.log_softmax(rows.double(), dim=1)
            p = log_p.exp()
            self._negative_entropy += (p * log_p).sum()
            self._mass = self._mass + p.sum(dim=0)
            self._count += len(rows)
            if self._count == self._split:
                self._close()
            logits = logits[len(rows) :]

    def _close(self) -> None:
        assert isinstance(self._mass, Tensor)
        mean = self._mass / self._count
        # E_x KL(p(y|x) || p(y)) = E_x sum p log p - sum p(y) log p(y)
        divergence = self._negative_entropy / self._count - torch.xlogy(mean, mean).sum()
        self._scores.append(float(divergence.exp()))
        self._clear()

    def scores(self) -> tuple[float, ...]:
        """The score of every split; a last one that is not full counts only where there is no other."""
        if self._count and not self._scores:
            self._close()
        return tuple(self._scores)
