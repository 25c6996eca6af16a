"""The processes of a run: one alone, or several that `torchrun` started, one a device.

Every process makes the same steps on its own share of each batch; gradients are averaged before each update, so that
weights, moments and averages are the same everywhere, or each process has its rows of them (`holding.py`). What is
random depends on an image's position in the run alone, and the first process alone speaks.

Gradients are averaged here rather than by DistributedDataParallel: its buckets change after the first step that a
process makes, and with them the order of the sums, so that a run that stops and continues on three processes or more
would not be the run that never stopped; and it takes weights that got no gradient in a step (a brick that is frozen or
left out) only at the price of a wait for the device.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed
from torch import Tensor

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.processes import join, place_here

T = TypeVar("T")

BUCKET_BYTES = 32 * 2**20
"""So much of the gradients is sent at once."""

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others: while the first one writes a large checkpoint, for example."""

_dist: Any = torch.distributed  # typed in part


class Ranks:
    """The processes of a run, as one of them sees them.

    Args:
        rank: which one this is, from 0.
        size: how many there are.

    Attributes:
        rank: which one this is.
        size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def first(self) -> bool:
        """Whether this one writes and speaks."""
        return self.rank == 0

    def any(self, wanted: bool) -> bool:
        """Whether one of them wants something. Waits for the others, not for the device."""
        if self.size == 1:
            return wanted
        flag = torch.tensor([int(wanted)])
        self._together(lambda: _dist.all_reduce(flag, op=_dist.ReduceOp.MAX))
        return bool(flag.item())

    def text(self, text: str) -> str:
        """The first one's text, for all of them."""
        if self.size == 1:
            return text
        content = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8) if text else torch.empty(0).byte()
        length = torch.tensor([len(content)])
        self._together(lambda: _dist.broadcast(length, 0))
        if not self.first:
            content = torch.empty(int(length.item()), dtype=torch.uint8)
        if len(content):
            self._together(lambda: _dist.broadcast(content, 0))
        return bytes(content.tolist()).decode()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    def gather(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Everyone's tensor, by rank, on the CPU. Waits for the device."""
        own = tensor.detach().cpu()
        if self.size == 1:
            return (own,)
        found = [torch.empty_like(own) for _ in range(self.size)]
        self._together(lambda: _dist.all_gather(found, own))
        return tuple(found)

    def total(self, value: Tensor) -> Tensor:
        """The sum of everyone's scalar, the same bits in all of them; does not wait for the device."""
        self._together(lambda: _dist.all_reduce(value))
        return value

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their mean over the processes; the same tensors, in the same order, in all of them.

        The mean is the same bits everywhere and in every session: buckets follow from the sizes alone.
        """
        if self.size == 1:
            return
        pending: list[tuple[Any, Tensor, list[Tensor]]] = []
        for bucket in buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket]).div_(self.size)
            work = self._together(lambda flat=flat: _dist.all_reduce(flat, async_op=True))
            pending.append((work, flat, bucket))
        for work, flat, bucket in pending:
            self._together(work.wait)
            parts = torch.split_with_sizes(flat, [tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.detach().copy_(part.view_as(tensor))

    def together(self, call: Callable[[], T]) -> T:
        """What a call gives that computes and, in between, meets the other processes.

        Raises:
            RunError: one of them is gone.
        """
        try:
            return call()
        except RuntimeError as error:
            if not _is_of_connection(error):
                raise
            raise self._lost() from error

    def _together(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except RuntimeError as error:
            raise self._lost() from error

    def _lost(self) -> RunError:
        return RunError(
            f"process {self.rank} of {self.size} lost another one of the run",
            help="its own message says why it ended; the run stands at its last checkpoint",
        )


ALONE = Ranks()


def _is_of_connection(error: RuntimeError) -> bool:
    """Whether an error is of the exchange: gloo raises plain ones, which name the line of its source."""
    return isinstance(error, _dist.DistError) or "gloo" in str(error)


def is_first() -> bool:
    """Whether this process is the one that speaks: the only one, or the first that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def open_ranks(device: str) -> Generator[Ranks]:
    """The processes of this run: those that torchrun says there are in the environment, or this one alone.

    Args:
        device: `cpu`, `cuda` or `auto`, as `choose_device` takes it. Each process takes a GPU of its own.

    Raises:
        UsageError: there are more processes than GPUs, or the environment names half a place.
        RunError: the others cannot be reached.
    """
    place = place_here()
    if place.size == 1:
        yield ALONE
        return
    backend = "gloo"
    if device != "cpu" and torch.cuda.is_available():
        if place.local >= torch.cuda.device_count():
            raise UsageError(
                f"process {place.rank} has no GPU of its own: there are {torch.cuda.device_count()} here",
                help="start as many processes a machine as it has GPUs, or train with --device cpu",
            )
        torch.cuda.set_device(place.local)
        backend = "cpu:gloo,cuda:nccl"
    join(place, backend, TIMEOUT)
    yield Ranks(place.rank, place.size)
    # after an error the others are not waited for: they find this one gone
    _dist.destroy_process_group()


def refuse_uneven(batch: int, accumulate: int, ranks: Ranks) -> None:
    """Refuse a batch that processes and parts do not share evenly.

    Raises:
        UsageError: names all three.
    """
    if batch % (accumulate * ranks.size):
        parts = f" in {accumulate} parts each" if accumulate > 1 else ""
        raise UsageError(
            f"{ranks.size} processes{parts} cannot share a batch of {batch} evenly",
            help="change --batch or --accumulate, or start another number of processes",
        )


def buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors in order, so many together as fit a bucket; of one type each."""
    found: list[list[Tensor]] = []
    room = 0
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        if not found or size > room or found[-1][0].dtype != tensor.dtype:
            found.append([])
            room = max(BUCKET_BYTES, size)
        found[-1].append(tensor)
        room -= size
    return found
