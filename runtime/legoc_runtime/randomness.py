"""Random numbers as a function of (seed, purpose, position): never of batch, worker, rank or order of calls.

A position is the image's place in the run (training) or nothing at all (sampling, where the seed is the image's own).
Philox is a counter-based generator: every (seed, purpose, position, part) is its own stream, at no cost to reach.

takes: integers
gives: numpy arrays
may import: numpy
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Purpose(IntEnum):
    """What a stream is for. The numbers are part of every run's reproducibility: append, never renumber."""

    ORDER = 1
    NOISE_LEVEL = 2
    NOISE = 3
    LABEL_DROP = 4
    FLIP = 5
    WINDOWS = 6
    START = 7
    CHURN = 8
    CLASS = 9
    DROP = 10
    SUBSETS = 11
    LATENT = 12
    CROP = 13


def stream(seed: int, purpose: Purpose, position: int = 0, part: int = 0) -> np.random.Generator:
    """The generator of one stream.

    Args:
        seed: the run's seed (training) or the picture's (sampling), 0 <= seed < 2**64.
        purpose: what the numbers are for.
        position: place of the image in the run, or 0.
        part: a further index: the brick, the sampler's step.
    """
    key = np.array([seed, int(purpose)], dtype=np.uint64)
    # the low word counts blocks within the stream; position and part sit above it
    counter = np.array([0, 0, part, position], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def normal(
    seed: int, purpose: Purpose, shape: tuple[int, ...], position: int = 0, part: int = 0
) -> NDArray[np.float32]:
    """Standard normal float32 numbers of a stream."""
    return stream(seed, purpose, position, part).standard_normal(shape, dtype=np.float32)
