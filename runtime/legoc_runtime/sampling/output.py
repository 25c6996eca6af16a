"""A directory of samples: claimed before sampling, filled picture by picture, closed by its record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling import kept, record
from legoc_runtime.sampling.given import GRID_NAME
from legoc_runtime.sampling.npz import npz_name, write_npz
from legoc_runtime.sampling.pictures import (
    grid,
    grid_count,
    is_npy,
    is_picture,
    npy_bytes,
    png_bytes,
    read_png,
    to_uint8,
    write_whole,
)
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.ranks import Ranks
from legoc_runtime.sampling.run import Batch, OnCall, SamplingRun


class SampleDirectory:
    """Where one set of samples goes.

    Pictures are `000000.png`, the number being the seed; sets of other than 1 or 3 channels (latents that no VAE
    decodes) hold `000000.npy`, float32 [C,H,W], and no grid. `samples.json` stands there from the start, marked
    incomplete until the last picture is written. Grid and `.npz` are put together from the files, so that a set may be
    made in several goes and by several processes.
    """

    def __init__(self, path: Path, plan: Plan, source: record.Source) -> None:
        self.path = path
        self._plan = plan
        self._source = source
        self._decoding_seconds = 0.0

    @property
    def suffix(self) -> str:
        """`.png` or `.npy`."""
        return ".png" if is_picture(self._plan.picture_shape[0]) else ".npy"

    def file_name(self, seed: int) -> str:
        """The file of a seed's picture."""
        return f"{seed:06d}{self.suffix}"

    def claim(self, *, overwrite: bool = False, resume: bool = False) -> None:
        """Make the directory ours before anything is sampled.

        Args:
            overwrite: replace samples of another request.
            resume: keep the pictures of the same settings that are there.

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
        half_made = record.half_made_record(self._plan, self._source, self._files())
        if not empty and resume:
            found = record.read_record(self.path)
            kept.check_resumable(self.path, found, half_made)
            if found is not None and kept.is_finished(found, half_made):
                return
            self._remove(kept.npz_names(found))  # ADM's file of fewer pictures than there will be
        elif not empty:
            self._clear(overwrite)
        record.write_record(self.path, half_made)

    def missing(self) -> tuple[int, ...]:
        """The places, in the plan, of the seeds whose pictures are not there; after `claim`.

        A set without its record lacks at least its last picture, so that there is a trace to record.
        """
        absent = tuple(place for place, seed in enumerate(self._plan.seeds) if not self._is_there(seed))
        if absent or (record.read_record(self.path) or {}).get("complete") is True:
            return absent
        return (len(self._plan.seeds) - 1,)

    def _is_there(self, seed: int) -> bool:
        path = self.path / self.file_name(seed)
        if self.suffix == ".npy":
            return is_npy(path, self._plan.picture_shape)
        return read_png(path, self._plan.picture_shape) is not None

    def _clear(self, overwrite: bool) -> None:
        """Make room: samples of the same request are simply made again, others only when asked to."""
        found = record.read_record(self.path) if not overwrite else _read_or_none(self.path)
        if not overwrite:
            kept.check_same(self.path, found, record.request_record(self._plan, self._source))
        self._remove((*kept.file_names(found), GRID_NAME))

    def _remove(self, names: Iterable[str]) -> None:
        try:
            for name in names:
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
        places: tuple[int, ...] | None = None,
        ranks: Ranks | None = None,
        npz: bool = False,
    ) -> dict[str, Any]:
        """Sample, write every picture, and where this rank leads the grid and the record.

        Args:
            run: a fresh run of this directory's plan.
            batch: pictures at once.
            how: device, backend and the like, for the record.
            macs_saved: see `record.full_record`.
            on_call: observer of the evaluations, for progress.
            places: which pictures are made, as `missing` says; None makes all.
            ranks: the processes that make them together.
            npz: whether ADM's file of samples is wanted too.

        Returns:
            the record, as the rank that leads wrote it.
        """
        ranks = ranks or Ranks()
        for sampled in run.batches(batch, places=places, ranks=ranks, on_call=on_call):
            self._write_batch(sampled)
        seconds, decoding = ranks.longest(run.seconds), ranks.longest(self._decoding_seconds)
        made = len(self._plan.seeds) if places is None else len(places)
        how = {"batch": batch, **how, **({"ranks": ranks.world} if ranks.world > 1 else {})}
        full = record.full_record(
            run,
            self._source,
            self._files(),
            how=how,
            macs_saved=macs_saved,
            made=made,
            seconds=seconds,
            decoding_seconds=decoding,
        )
        # what every rank has written is read below
        ranks.wait()
        if ranks.leads:
            self._write_grid()
            record.write_record(self.path, full | ({"npz": self._write_npz().name} if npz else {}))
        return full

    def add_npz(self) -> None:
        """ADM's file of samples of a complete set, which its record then lists.

        Raises:
            RunError: a picture is gone, or a file cannot be written.
        """
        name = self._write_npz().name
        record.write_record(self.path, {**(record.read_record(self.path) or {}), "npz": name})

    def check_npz(self) -> None:
        """Refuse ADM's file for what is no picture.

        Raises:
            UsageError: the stack makes latents.
        """
        if self.suffix == ".npy":
            raise UsageError(
                f"--npz holds 8-bit pictures, and this stack makes latents of {self._plan.shape.channels} channels",
                help="pass --decoder VAE, which makes pictures of them, or leave --npz out: latents are .npy files",
            )

    def _write_npz(self) -> Path:
        """ADM's file of samples, from the pictures in the order of the seeds that were asked for; its path.

        Raises:
            RunError: a picture is gone, or the file cannot be written.
        """
        shape, seeds = self._plan.picture_shape, self._plan.seeds
        path = self.path / npz_name(len(seeds), shape)
        write_npz(path, self._pictures(seeds), shape, self._plan.labels, len(seeds))
        return path

    def _write_grid(self) -> None:
        if self.suffix == ".png":
            shown = self._plan.seeds[: grid_count(*self._plan.picture_shape[1:])]
            write_whole(self.path / GRID_NAME, png_bytes(grid(list(self._pictures(shown)))))

    def _pictures(self, seeds: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
        for seed in seeds:
            path = self.path / self.file_name(seed)
            picture = read_png(path, self._plan.picture_shape)
            if picture is None:
                raise RunError(f"{path} is gone or damaged", help="make it again with --resume")
            yield picture

    def _files(self) -> list[str]:
        return [self.file_name(seed) for seed in self._plan.seeds]

    def _write_batch(self, sampled: Batch) -> None:
        """Write pictures; latents are decoded slice by slice, so that no more than a slice of pictures is held."""
        names, decoding = [self.file_name(seed) for seed in sampled.seeds], self._plan.decoding
        for start in range(0, len(names), len(names) if decoding is None else decoding.batch):
            rows = slice(start, None if decoding is None else start + decoding.batch)
            pictures = sampled.pictures[rows]
            if decoding is not None:
                began = perf_counter()
                pictures = decoding.pictures(pictures)
                self._decoding_seconds += perf_counter() - began
            self._write(names[rows], pictures)

    def _write(self, names: Sequence[str], pictures: Tensor) -> None:
        if self.suffix == ".png":
            for name, picture in zip(names, to_uint8(pictures), strict=True):
                write_whole(self.path / name, png_bytes(picture))
        else:
            for name, estimate in zip(names, pictures, strict=True):
                write_whole(self.path / name, npy_bytes(estimate))


def _read_or_none(path: Path) -> dict[str, Any] | None:
    """The record of samples that are to be replaced; one that cannot be read names no pictures to remove."""
    try:
        return record.read_record(path)
    except RunError:
        return None
