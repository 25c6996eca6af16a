"""Batches in order, the next one made by a thread while the current one trains."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import torch

from legoc_runtime.training.batch import Batch, BatchMaker
from legoc_runtime.training.ranks import Ranks


class Feed:
    """One process's shares of the batches from a position on. A context manager: leaving it stops the thread.

    Args:
        maker: makes them.
        start: position of the first image of the first batch.
        size: images of a batch, over all processes.
        device: where they go.
        ranks: the processes; each takes an equal share of a batch, in the order of their ranks.
    """

    def __init__(self, maker: BatchMaker, *, start: int, size: int, device: torch.device, ranks: Ranks) -> None:
        self._maker = maker
        self._share = size // ranks.size
        self._skip = ranks.rank * self._share
        self._next = start
        self._size = size
        self._device = device
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: Future[Batch] = self._submit()

    def take(self) -> Batch:
        """The next batch, on the device. Raises what making it raised."""
        batch = self._ahead.result()
        self._ahead = self._submit()
        return batch

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _submit(self) -> Future[Batch]:
        start, self._next = self._next, self._next + self._size
        return self._thread.submit(self._make, start)

    def _make(self, start: int) -> Batch:
        return self._maker.make(start, self._share, skip=self._skip).to(self._device)
