"""The order of images in a run: every epoch is a permutation of its own, a function of seed and epoch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.randomness import Purpose, stream


def index_of(seed: int, position: int, n: int) -> int:
    """Which image of a set of `n` stands at a position of the run.

    Args:
        seed: the run's seed.
        position: 0 for the first image that the run trains on.
        n: images in the set, 1 or more.

    Returns:
        an index in [0, n). Positions e * n to e * n + n - 1 meet every image once, for every epoch e.
    """
    epoch, place = divmod(position, n)
    return int(_permutation(seed, epoch, n)[place])


# two epochs: a batch may straddle their border
@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    return stream(seed, Purpose.ORDER, epoch).permutation(n)
