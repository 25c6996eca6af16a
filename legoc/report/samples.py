"""Sets of pictures that were sampled from a run: its own, and those beside it that its weights made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

RECORD_NAME, GRID_NAME, SAMPLES = "samples.json", "grid.png", "samples"
CHECKPOINTS, STATE_NAME = "checkpoints", "state.json"

MAX_RECORD_BYTES = 32 * 2**20
MAX_GRID_BYTES = 4 * 2**20
"""A larger grid is left out, and said to be: the page is one file."""

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Grid:
    """A grid of pictures.

    Attributes:
        data: the PNG file.
        width: in pixels.
        height: in pixels.
    """

    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class SampleSet:
    """A folder of pictures.

    Attributes:
        path: the folder.
        record: its `samples.json`; empty where that cannot be read.
        grid: its grid, or the words for why there is none.
    """

    path: Path
    record: Mapping[str, Any]
    grid: Grid | str

    def at(self, *keys: str) -> object:
        """A value of the record by its keys; None where there is none."""
        found: object = self.record
        for key in keys:
            found = mapping(found).get(key)
        return found

    @property
    def is_complete(self) -> bool:
        """Whether all pictures were made."""
        return self.at("complete") is True


def mapping(data: object) -> Mapping[str, Any]:
    """A JSON object, or an empty one for anything else."""
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def trained_images(run: Path) -> list[int]:
    """Images that the checkpoints of a run were trained on, in order."""
    states = (_json(path) for path in sorted(run.glob(f"{CHECKPOINTS}/*/{STATE_NAME}")))
    return sorted(images for state in states if isinstance(images := state.get("images"), int) and 0 <= images < 2**53)


def find_samples(run: Path, spec_hash: str) -> list[SampleSet]:
    """The sets in a run's `samples/`, and those beside the run whose weights lie in it; by path.

    Args:
        run: the run.
        spec_hash: that of its spec. What lies beside the run must be of it, and of weights that it holds.
    """
    own = [_set(path) for path in sorted(run.glob(f"{SAMPLES}/*/{RECORD_NAME}"))]
    beside = [_set(path) for path in sorted(run.parent.glob(f"{SAMPLES}/*/{RECORD_NAME}"))]
    weights = set(_checksums(run)) if beside else set[str]()
    mine = [
        found
        for found in beside
        if found.at("source", "spec_hash") == spec_hash and found.at("source", "weights_sha256") in weights
    ]
    return [*own, *mine]


def _checksums(run: Path) -> Iterator[str]:
    """Checksums of the files of weights in a run's checkpoints, as their states tell them."""
    for path in sorted(run.glob(f"{CHECKPOINTS}/*/{STATE_NAME}")):
        yield from _strings(_json(path).get("files"))


def _strings(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in cast("dict[str, object]", data).values():
            yield from _strings(value)


def _set(path: Path) -> SampleSet:
    return SampleSet(path.parent, _json(path), read_grid(path.with_name(GRID_NAME)))


def read_grid(path: Path) -> Grid | str:
    """A grid, or the words for why there is none."""
    try:
        size = path.stat().st_size
        if size > MAX_GRID_BYTES:
            return f"{path.name} has {size / 2**20:.0f} MiB, and a report takes up to {MAX_GRID_BYTES // 2**20}"
        data = path.read_bytes()
    except OSError:
        return f"there is no {path.name} that can be read"
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    if not data.startswith(_PNG) or not (0 < width <= 2**15 and 0 < height <= 2**15):
        return f"{path.name} is no PNG file"
    return Grid(data, width, height)


def _json(path: Path) -> Mapping[str, Any]:
    """A file of JSON; empty for what is none, so that one damaged set leaves the others."""
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            return {}
        return mapping(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}
