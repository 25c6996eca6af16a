"""This process's place among several that `torchrun` started, from the environment that it sets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from legoc_runtime.errors import RunError, UsageError

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@dataclass(frozen=True, slots=True)
class Place:
    """Which process this is.

    Attributes:
        rank: its number among all, from 0.
        size: how many there are.
        local: its number on this machine, which chooses its GPU.
    """

    rank: int = 0
    size: int = 1
    local: int = 0


def place_here() -> Place:
    """This process's place; one of one without the environment.

    Raises:
        UsageError: the environment names half a place.
    """
    found = [os.environ.get(name, "") for name in _NAMES]
    if not found[0] and found[1] in ("", "1"):
        return Place()
    if not all(value.isascii() and value.isdigit() for value in found) or int(found[0]) >= int(found[1]):
        said = ", ".join(f"{name}={value!r}" for name, value in zip(_NAMES, found, strict=True))
        raise UsageError(f"the environment names no place among several processes: {said}", help="start with torchrun")
    return Place(*map(int, found))


def join(place: Place, backend: str, timeout: timedelta) -> None:
    """Meet the other processes.

    Args:
        place: of this one, among two or more.
        backend: what they talk through, in torch.distributed's words.
        timeout: how long one waits for another from now on.

    Raises:
        RunError: they cannot be reached.
    """
    from torch import distributed

    typed: Any = distributed  # in part
    try:
        typed.init_process_group(backend, timeout=timeout)
    except (RuntimeError, ValueError) as error:
        raise RunError(
            f"process {place.rank} of {place.size} cannot reach the others: {error}", help="start them with torchrun"
        ) from error
