"""Averages of any width after a run, from those that it kept (EDM2, Karras et al. 2024, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from legoc_runtime.checkpoint import read_tensors, verify
from legoc_runtime.checkpoint.layout import AVERAGES, PROFILE_PREFIX, checkpoints
from legoc_runtime.checkpoint.tensorfile import SUFFIX
from legoc_runtime.checkpoint.weights import WeightsFile, read_header
from legoc_runtime.contract.profiles import Profile, gamma_of, gram
from legoc_runtime.errors import UsageError


@dataclass(frozen=True)
class Reconstruction:
    """How an average is made of others.

    Attributes:
        parts: files of averages of the run.
        shares: how much of each, adding to about 1.
        images: images trained on at the step that it is of.
        error: distance of its profile from the one asked for, relative to the latter.
    """

    parts: tuple[WeightsFile, ...]
    shares: tuple[float, ...]
    images: int
    error: float

    def tensors(self) -> dict[str, Tensor]:
        """The average: weight key -> float32. Sums are of float64.

        Raises:
            RunError: a file is damaged.
        """
        sums: dict[str, Tensor] = {}
        for part, share in zip(self.parts, self.shares, strict=True):
            for key, tensor in read_tensors(part).items():
                scaled = tensor.to(torch.float64) * share
                sums[key] = sums[key].add_(scaled) if key in sums else scaled
        return {key: total.to(torch.float32) for key, total in sums.items()}


def plan(run: Path, width: float, images: int | None = None) -> Reconstruction:
    """How to make the average of a width.

    Args:
        run: the run directory.
        width: sigma_rel.
        images: images trained on at the step that it is to be of, one of those that the run kept averages at; None
            takes the last.

    Raises:
        UsageError: the run has no such averages.
        RunError: one is damaged.
    """
    kept = checkpoints(run, AVERAGES)
    if not kept:
        raise UsageError(
            f"{run} kept no averages to make others of", help="train with `ema_profiles: [0.05, 0.1]` in `train:`"
        )
    at = [int(path.name) for path in kept]
    chosen = at[-1] if images is None else images
    if chosen not in at:
        raise UsageError(f"{run} kept no averages at {chosen:,} images", help=f"there are {_listed(at)}")
    files: list[WeightsFile] = []
    profiles: list[Profile] = []
    for path in kept[: at.index(chosen) + 1]:
        state = verify(path)
        for name in sorted(cast("dict[str, str]", state["files"])):
            files.append(read_header(path / name))
            profiles.append(Profile(int(state["step"]), gamma_of(_width(name))))
    shares, error = _solve(profiles, Profile(profiles[-1].step, gamma_of(width)))
    return Reconstruction(tuple(files), tuple(float(share) for share in shares), chosen, error)


def snapshot_state(step: int, record: Mapping[str, Any]) -> dict[str, Any]:
    """What `state.json` beside kept averages says."""
    return {"step": step, "name": record["name"], "spec_hash": record["spec_hash"]}


def halved(average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Averages in float16, as they are kept; a tensor that its range does not hold stays as it is."""
    held = {key: tensor.to(torch.float16) for key, tensor in average.items()}
    return {key: half if bool(half.isfinite().all()) else average[key] for key, half in held.items()}


def _solve(profiles: Sequence[Profile], target: Profile) -> tuple[NDArray[np.float64], float]:
    matrix = np.array(gram(profiles, profiles))
    products = np.array(gram(profiles, [target]))[:, 0]
    shares = np.linalg.lstsq(matrix, products, rcond=None)[0]
    squared = shares @ matrix @ shares - 2 * shares @ products + target.dot(target)
    return shares, float(np.sqrt(max(squared, 0.0) / target.dot(target)))


def _width(name: str) -> float:
    return float(name.removeprefix(PROFILE_PREFIX).removesuffix(SUFFIX))


def _listed(images: Sequence[int]) -> str:
    shown = [f"{each:,}" for each in images]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:2], "...", *shown[-3:]])
