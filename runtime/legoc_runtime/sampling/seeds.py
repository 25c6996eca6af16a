"""Seeds as people write them: `0-63`, `1,5,9-12`. A seed names a picture, so each may be asked for once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from legoc_runtime.errors import UsageError

MAX_SEED = 2**64 - 1
MAX_COUNT = 10_000_000

_PART = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?")


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of a list of numbers and inclusive ranges, in the order written.

    Raises:
        UsageError: not such a list, a range that runs backwards, a seed of 2**64 or more, a seed twice,
            or over ten million of them.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise UsageError(f"`{part.strip()}` in the seeds `{text}` is not a number or a range", help=_EXAMPLE)
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise UsageError(f"the seeds `{part.strip()}` run backwards", help=f"write {last}-{first}")
        if last > MAX_SEED:
            raise UsageError(f"the seed {last} is too large", help="seeds are below 2**64")
        if len(seeds) + last - first + 1 > MAX_COUNT:
            raise UsageError(f"`{text}` is more than {MAX_COUNT:,} seeds", help="sample them in several sets")
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) < len(seeds):
        twice = next(seed for i, seed in enumerate(seeds) if seed in set(seeds[:i]))
        raise UsageError(f"the seed {twice} is asked for twice", help="a seed names one picture: name each seed once")
    return tuple(seeds)


_EXAMPLE = "write seeds as 0-63, or 1,5,9-12"


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
