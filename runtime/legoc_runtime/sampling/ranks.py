"""Several processes that make one set of pictures, as `torchrun` starts them. Each batch is one rank's.

They share a directory and wait for each other through gloo; no picture and no weight passes between them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from legoc_runtime.errors import UsageError
from legoc_runtime.processes import join, place_here

_distributed: Any = distributed  # its functions are typed in part

PATIENCE = timedelta(days=7)
"""How long a rank waits for the others. One that fails ends them all through `torchrun`, so that none waits in vain."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that sample together.

    Attributes:
        rank: its number; 0 talks and writes what there is one of.
        world: how many there are.
        local: its number on this machine, which chooses its GPU.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes what there is one of."""
        return self.rank == 0

    def share(self, batches: Sequence[Sequence[int]]) -> list[Sequence[int]]:
        """The batches of this rank. Batches are the same for any number of ranks, and so are the bits of pictures."""
        return list(batches[self.rank :: self.world])

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.world > 1:
            _distributed.barrier()

    def longest(self, seconds: float) -> float:
        """The longest of all ranks' times."""
        if self.world == 1:
            return seconds
        found = torch.tensor([seconds], dtype=torch.float64)
        _distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return float(found[0])

    def device(self, device: torch.device) -> torch.device:
        """The device of this rank: a GPU each, where there are GPUs.

        Raises:
            UsageError: more ranks on this machine than GPUs.
        """
        if self.world == 1 or device.type != "cuda":
            return device
        if self.local >= torch.cuda.device_count():
            raise UsageError(
                f"rank {self.local} of this machine has no GPU: there are {torch.cuda.device_count()}",
                help="start as many processes as there are GPUs, or pass --device cpu",
            )
        return torch.device("cuda", self.local)


@contextmanager
def ranks_here() -> Generator[Ranks]:
    """This process's place, from the environment that `torchrun` sets; one of one without it.

    Raises:
        UsageError: the environment names half a place.
        RunError: the others cannot be reached.
    """
    place = place_here()
    ranks = Ranks(place.rank, place.size, place.local)
    if ranks.world == 1:
        yield ranks
        return
    join(place, "gloo", PATIENCE)
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()
