"""A directory of samples: claimed before sampling, filled picture by picture, closed by its record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling import record
from legoc_runtime.sampling.pictures import (
    GRID_PICTURES,
    grid,
    is_picture,
    npy_bytes,
    png_bytes,
    to_uint8,
    write_whole,
)
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.run import Batch, OnCall, SamplingRun

GRID_NAME = "grid.png"


class SampleDirectory:
    """Where one set of samples goes.

    Pictures are `000000.png`, the number being the seed; sets of other than 1 or 3 channels (latents) hold
    `000000.npy`, float32 [C,H,W], and no grid. `samples.json` stands there from the start, marked incomplete
    until the last picture is written.
    """

    def __init__(self, path: Path, plan: Plan, source: record.Source) -> None:
        self.path = path
        self._plan = plan
        self._source = source

    @property
    def suffix(self) -> str:
        """`.png` or `.npy`."""
        return ".png" if is_picture(self._plan.shape.channels) else ".npy"

    def file_name(self, seed: int) -> str:
        """The file of a seed's picture."""
        return f"{seed:06d}{self.suffix}"

    def claim(self, *, overwrite: bool = False) -> None:
        """Make the directory ours before anything is sampled.

        Raises:
            UsageError: it holds something else: samples of another request, or files that are no samples.
            RunError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            empty = next(self.path.iterdir(), None) is None
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be used: {error.strerror or error}", help="choose another --out"
            ) from error
        if not empty:
            self._clear(overwrite)
        files = [self.file_name(seed) for seed in self._plan.seeds]
        record.write_record(self.path, record.half_made_record(self._plan, self._source, files))

    def _clear(self, overwrite: bool) -> None:
        """Make room: samples of the same request are simply made again, others only when asked to."""
        found = record.read_record(self.path) if not overwrite else _read_or_none(self.path)
        if not overwrite:
            if found is None:
                raise UsageError(
                    f"{self.path} is not empty and holds no samples",
                    help="choose another --out, or pass --overwrite",
                )
            if found.get("request") != _as_json(record.request_record(self._plan, self._source)):
                raise UsageError(
                    f"{self.path} holds samples of another request",
                    help="choose another --out, or replace them with --overwrite",
                )
        try:
            for name in (*_picture_names(found), GRID_NAME):
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"{self.path} cannot be cleared: {error.strerror}", help="choose another --out") from error

    def fill(
        self,
        run: SamplingRun,
        *,
        batch: int,
        how: Mapping[str, Any],
        macs_saved: float | None = None,
        on_call: OnCall | None = None,
    ) -> dict[str, Any]:
        """Sample, write every picture, the grid and the record.

        Args:
            run: a fresh run of this directory's plan.
            batch: pictures at once.
            how: device, backend and the like, for the record.
            macs_saved: see `record.full_record`.
            on_call: observer of the evaluations, for progress.

        Returns:
            the record, as written.
        """
        first: list[NDArray[np.uint8]] = []
        files: list[str] = []
        for sampled in run.batches(batch, on_call=on_call):
            files.extend(self._write_batch(sampled, first))
        if first:
            write_whole(self.path / GRID_NAME, png_bytes(grid(first)))
        full = record.full_record(run, self._source, files, how={"batch": batch, **how}, macs_saved=macs_saved)
        record.write_record(self.path, full)
        return full

    def _write_batch(self, sampled: Batch, first: list[NDArray[np.uint8]]) -> list[str]:
        """Write a batch's pictures and keep those that the grid shows. Returns their file names."""
        names = [self.file_name(seed) for seed in sampled.seeds]
        if is_picture(self._plan.shape.channels):
            pictures = to_uint8(sampled.pictures)
            for name, picture in zip(names, pictures, strict=True):
                write_whole(self.path / name, png_bytes(picture))
            first.extend(pictures[: max(0, GRID_PICTURES - len(first))])
        else:
            for name, estimate in zip(names, sampled.pictures, strict=True):
                write_whole(self.path / name, npy_bytes(estimate))
        return names


def _read_or_none(path: Path) -> dict[str, Any] | None:
    """The record of samples that are to be replaced; one that cannot be read names no pictures to remove."""
    try:
        return record.read_record(path)
    except RunError:
        return None


def _picture_names(found: Mapping[str, Any] | None) -> list[str]:
    """The picture files that a record lists; only plain names, so that it can remove nothing elsewhere."""
    pictures = cast("list[dict[str, Any]]", (found or {}).get("pictures", []))
    names = [str(picture.get("file", "")) for picture in pictures]
    return [name for name in names if name and Path(name).name == name]


def _as_json(value: object) -> object:
    """Data as it would come back from a file."""
    return json.loads(json.dumps(value))
