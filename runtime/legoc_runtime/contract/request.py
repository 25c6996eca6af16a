"""What is asked of sampling, in the words of flags and specs: which seeds, which classes.

A seed names a picture, so each may be asked for once; which class its picture shows is a rule over seeds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TypeAlias

from legoc_runtime.errors import UsageError

MAX_SEED = 2**64 - 1
MAX_COUNT = 10_000_000

_PART = re.compile(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?")
_EXAMPLE = "write seeds as 0-63, or 1,5,9-12"


def seed_ranges(text: str) -> tuple[range, ...]:
    """The seeds of a list of numbers and inclusive ranges, as ranges in the order written.

    Raises:
        UsageError: not such a list, a range that runs backwards, a seed of 2**64 or more, a seed twice,
            or over ten million of them.
    """
    ranges: list[range] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise UsageError(f"`{part.strip()}` in the seeds `{text}` is not a number or a range", help=_EXAMPLE)
        first, last = _seed(match[1]), _seed(match[2] or match[1])
        if last < first:
            raise UsageError(f"the seeds `{part.strip()}` run backwards", help=f"write {last}-{first}")
        ranges.append(range(first, last + 1))
    if sum(found.stop - found.start for found in ranges) > MAX_COUNT:
        raise UsageError(f"`{text}` is more than {MAX_COUNT:,} seeds", help="sample them in several sets")
    in_order = sorted(ranges, key=lambda found: found.start)
    twice = next((after.start for before, after in pairwise(in_order) if after.start < before.stop), None)
    if twice is not None:
        raise UsageError(f"the seed {twice} is asked for twice", help="a seed names one picture: name each seed once")
    return tuple(ranges)


def _seed(digits: str) -> int:
    # a number of thousands of digits is not read, only refused
    if len(digits.lstrip("0")) > len(str(MAX_SEED)) or int(digits) > MAX_SEED:
        raise UsageError(f"the seed {digits[:40]} is too large", help="seeds are below 2**64")
    return int(digits)


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of a list of numbers and inclusive ranges, in the order written.

    Raises:
        UsageError: as `seed_ranges`.
    """
    return tuple(chain.from_iterable(seed_ranges(text)))


def seeds_text(seeds: Sequence[int]) -> str:
    """The shortest text that `parse_seeds` reads back to these seeds."""
    parts: list[str] = []
    start = 0
    for i in range(1, len(seeds) + 1):
        if i == len(seeds) or seeds[i] != seeds[i - 1] + 1:
            first, last = seeds[start], seeds[i - 1]
            parts.append(f"{first}" if first == last else f"{first}-{last}")
            start = i
    return ",".join(parts)


@dataclass(frozen=True, slots=True)
class RandomClass:
    """A class drawn evenly by the seed's own stream."""


@dataclass(frozen=True, slots=True)
class BalancedClass:
    """Class `seed mod classes`: consecutive seeds show every class equally often."""


@dataclass(frozen=True, slots=True)
class ListedClass:
    """The list's entry `seed mod length`: one class, or several that consecutive seeds cycle through."""

    classes: tuple[int, ...]


ClassRule: TypeAlias = RandomClass | BalancedClass | ListedClass


def parse_channels(text: str) -> int | None:
    """How many channels, the first ones, guidance acts on; None for `all`.

    Raises:
        UsageError: neither `all` nor a number from 1 on.
    """
    word = text.strip()
    if word == "all":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,5}", word):
        raise UsageError(f"`{text}` is no number of channels to guide", help="write all, or a number such as 3")
    return int(word)


def parse_interval(text: str) -> tuple[float, float] | None:
    """The noise levels that guidance acts at: above the first, up to the second; None for `all`.

    Raises:
        UsageError: neither `all` nor two numbers, 0 or more and the first below the second.
    """
    if text.strip() == "all":
        return None
    match = re.fullmatch(rf"\s*({_DECIMAL})\s*,\s*({_DECIMAL})\s*", text)
    low, high = (float(match[1]), float(match[2])) if match else (1.0, 0.0)
    if not 0 <= low < high < math.inf:
        raise UsageError(
            f"`{text}` is no interval of noise levels", help="write all, or two values of sigma such as 0.3,5"
        )
    return low, high


def interval_text(interval: tuple[float, float] | None) -> str:
    """The one text that `parse_interval` reads back to this interval."""
    return "all" if interval is None else ",".join(f"{bound!r}" for bound in interval)


_DECIMAL = r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?"

_MAX_DIGITS = 18
"""Of a class; no stack has as many."""


def parse_classes(text: str) -> ClassRule:
    """`random` (drawn by the seed), `balanced`, a class such as `3`, or a list such as `0,3,5`.

    Raises:
        UsageError: anything else.
    """
    match text.strip():
        case "random":
            return RandomClass()
        case "balanced":
            return BalancedClass()
        case word:
            parts = [part.strip() for part in word.split(",")]
            if not all(part.isascii() and part.isdigit() and len(part) <= _MAX_DIGITS for part in parts):
                help = "write one class (3), a list (0,3,5), balanced or random"
                raise UsageError(f"`{text}` does not name classes", help=help)
            return ListedClass(tuple(int(part) for part in parts))
