"""What a run says about itself: one JSON object a line in `metrics.jsonl`.

| key | meaning |
|---|---|
| `images` | images trained on so far |
| `step` | optimizer steps so far |
| `loss` | training loss (paper, Eq. 12), mean over the images since the last line; of the bricks that trained |
| `loss_by_brick` | brick id -> its own loss, mean likewise, or null where it did not train |
| `loss_by_noise` | range of sigma -> training loss of the images in it, or null where there was none |
| `learning_rate` | rate of the last step |
| `grad_norm` | norm of the gradient before clipping, mean over steps that count; null where none did |
| `loss_scale` | fp16: the factor of the loss, which halves where a step is left out since it overflowed; else null |
| `images_per_second` | since the last line, over the time spent training |
| `seconds` | time spent training, over all sessions of the run |
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor

from legoc_runtime.errors import RunError
from legoc_runtime.training.ranks import Ranks

METRICS_NAME = "metrics.jsonl"

NOISE_EDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Borders between the ranges of sigma; a range holds its upper border."""

NOISE_RANGES = (
    f"sigma <= {NOISE_EDGES[0]:g}",
    *(f"{low:g} < sigma <= {high:g}" for low, high in pairwise(NOISE_EDGES)),
    f"sigma > {NOISE_EDGES[-1]:g}",
)


def noise_range(sigma: float) -> str:
    """The range of NOISE_RANGES that a noise level lies in."""
    return NOISE_RANGES[bisect_left(NOISE_EDGES, sigma)]


@dataclass(frozen=True, slots=True)
class Metrics:
    """One line of `metrics.jsonl`; the table above says what its keys mean."""

    images: int
    step: int
    loss: float
    loss_by_brick: dict[str, float | None]
    loss_by_noise: dict[str, float | None]
    learning_rate: float
    grad_norm: float | None
    loss_scale: float | None
    images_per_second: float
    seconds: float


class Line(Protocol):
    """A dataclass that is one line of a file."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Meter:
    """Sums since the last line, on the device: adding to them does not wait.

    Attributes:
        losses: sum of the losses of a brick in a range of sigma, float64 [bricks, ranges].
        counts: images of a brick in a range, float64 [bricks, ranges].
        norms: sum of finite gradient norms and their number, float64 [2].
    """

    def __init__(self, bricks: Sequence[str], device: torch.device) -> None:
        self._bricks = tuple(bricks)
        ranges = len(NOISE_RANGES)
        self._edges = torch.tensor(NOISE_EDGES, device=device)
        self._ranges = torch.arange(ranges, device=device)
        self.losses = torch.zeros(len(bricks), ranges, dtype=torch.float64, device=device)
        self.counts = torch.zeros(len(bricks), ranges, dtype=torch.float64, device=device)
        self.norms = torch.zeros(2, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add(self, losses: Tensor, sigma: Tensor, norm: Tensor, trained: Tensor | None = None) -> None:
        """Count one step.

        Args:
            losses: of the bricks that trained, [k, N].
            sigma: noise levels, [N].
            norm: norm of the gradient.
            trained: those bricks by their place, bottom to top, int64 [k]; None is all of them.
        """
        ranges = torch.bucketize(sigma, self._edges)
        # a product with one-hot rows: index_add_ adds in no fixed order on a GPU
        one_hot = (ranges[:, None] == self._ranges).to(torch.float64)
        sums, counts = losses.detach().to(torch.float64) @ one_hot, one_hot.sum(dim=0)
        if trained is None:
            self.losses += sums
            self.counts += counts
        else:
            self.losses[trained] += sums
            self.counts[trained] += counts
        finite = torch.isfinite(norm)
        self.norms[0] += torch.where(finite, norm, 0.0)
        self.norms[1] += finite

    def line(
        self,
        *,
        images: int,
        step: int,
        trained: int,
        shares: Tensor,
        learning_rate: float,
        loss_scale: float | None,
        elapsed: float,
        seconds: float,
    ) -> Metrics:
        """The line for what was added since the last `clear`; waits for the device.

        Args:
            images: images trained on so far.
            step: steps so far.
            trained: images since the last line.
            shares: share of every brick in the training loss, [bricks].
            learning_rate: rate of the last step.
            loss_scale: factor of the loss in float16.
            elapsed: seconds spent training since the last line.
            seconds: seconds spent training in all.
        """
        loss, by_brick, by_noise = self.losses_of(shares)
        norm, steps = _floats(self.norms)
        return Metrics(
            images=images,
            step=step,
            loss=loss or 0.0,
            loss_by_brick=by_brick,
            loss_by_noise=by_noise,
            learning_rate=learning_rate,
            grad_norm=norm / steps if steps else None,
            loss_scale=loss_scale,
            images_per_second=trained / max(elapsed, 1e-9),
            seconds=seconds,
        )

    def losses_of(self, shares: Tensor) -> tuple[float | None, dict[str, float | None], dict[str, float | None]]:
        """The training loss, that of every brick, and the training loss in every range of sigma; waits for the device.

        Args:
            shares: share of every brick in the training loss, [bricks].
        """
        losses, counts, share = self.losses.cpu(), self.counts.cpu(), shares.cpu().to(torch.float64)
        by_brick = _means(losses.sum(dim=1), counts.sum(dim=1))
        by_noise = [_joint(losses[:, i], counts[:, i], share) for i in range(counts.shape[1])]
        return (
            _joint(losses.sum(dim=1), counts.sum(dim=1), share),
            dict(zip(self._bricks, by_brick, strict=True)),
            dict(zip(NOISE_RANGES, by_noise, strict=True)),
        )

    def over(self, ranks: Ranks) -> Meter:
        """The sums over all processes; called by all of them. Norms are the same in each and count once."""
        if ranks.size == 1:
            return self
        merged = Meter(self._bricks, torch.device("cpu"))
        each = {name: ranks.gather(total) for name, total in self.tensors().items()}
        merged.load(
            {**{name: torch.stack(totals).sum(dim=0) for name, totals in each.items()}, "norms": each["norms"][0]}
        )
        return merged

    def clear(self) -> None:
        """Begin the next line."""
        for total in self.tensors().values():
            total.zero_()

    def tensors(self) -> dict[str, Tensor]:
        """The sums by name, for a checkpoint."""
        return {"losses": self.losses, "counts": self.counts, "norms": self.norms}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the sums from a checkpoint; one that counted images once for all bricks counts them for each."""
        for name, total in self.tensors().items():
            total.copy_(tensors[name].expand_as(total))


class MetricsFile:
    """`metrics.jsonl` of a run, or another file of lines with `images`, open for more lines.

    Raises:
        RunError: it cannot be written.
    """

    def __init__(self, run: Path, *, keep_images: int, name: str = METRICS_NAME) -> None:
        """Open the file. Lines past `keep_images` go: the run was cut short after its last checkpoint."""
        self.path = run / name
        try:
            if self.path.exists():
                kept = [line for line in self.path.read_bytes().splitlines() if _images(line) <= keep_images]
                draft = self.path.with_name(f".{name}")
                draft.write_bytes(b"".join(line + b"\n" for line in kept))
                draft.replace(self.path)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise self._failed(error) from error

    def write(self, line: Line) -> None:
        """Add a line."""
        try:
            self._file.write(json.dumps(asdict(line), allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> None:
        """Wait until every line is on the disk: a checkpoint counts on the lines before it."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _failed(self, error: OSError) -> RunError:
        return RunError(
            f"{self.path} cannot be written: {error.strerror or error}",
            help="make room on the disk, then continue with --resume auto",
        )


def _means(sums: Tensor, counts: Tensor) -> list[float | None]:
    return [sum / count if count else None for sum, count in zip(_floats(sums), _floats(counts), strict=True)]


def _joint(losses: Tensor, counts: Tensor, shares: Tensor) -> float | None:
    """The mean losses of the bricks that trained, [bricks], by their shares; None where none did."""
    means = _means(losses, counts)
    weighed = [(mean, share) for mean, share in zip(means, _floats(shares), strict=True) if mean is not None]
    total = sum(share for _, share in weighed)
    return sum(mean * share for mean, share in weighed) / total if total else None


def _floats(vector: Tensor) -> list[float]:
    return cast("list[float]", vector.tolist())  # pyright: ignore[reportUnknownMemberType]


def _images(line: bytes) -> float:
    """The `images` of a line; infinity for a line that a kill cut short."""
    try:
        data: object = json.loads(line)
    except ValueError:
        return float("inf")
    images = cast("dict[str, Any]", data).get("images") if isinstance(data, dict) else None
    return images if isinstance(images, int) else float("inf")
