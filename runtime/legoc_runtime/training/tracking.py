"""What trackers are told, under the same names in each; `metrics.jsonl` and its neighbours have it all without them.

| name | from |
|---|---|
| `loss`, `learning_rate`, `grad_norm`, `images_per_second`, ... | the key of `metrics.jsonl` |
| `loss_by_brick/ID` | `loss_by_brick` |
| `loss_by_noise/sigma_to_0_03`, `.../sigma_0_03_to_0_1`, ..., `.../sigma_from_3` | `loss_by_noise` |
| `held_out/...` | the same of `held_out.jsonl` |
| `preview` | the grid of samples |

The place on the axis is the images trained on. A tracker that fails is left, with its words; the run goes on.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from legoc_runtime.contract import codec
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.errors import RunError
from legoc_runtime.sampling.pictures import write_whole
from legoc_runtime.training.metrics import NOISE_EDGES, NOISE_RANGES, Line
from legoc_runtime.training.trackers.tracker import (
    TRACKERS,
    Followed,
    Tracker,
    TrackerName,
    first_line,
    open_tracker,
)

TRACKING_NAME = "tracking.json"

_EDGES = [f"{edge:g}".replace(".", "_") for edge in NOISE_EDGES]
_NOISE_NAMES = dict(
    zip(
        NOISE_RANGES,
        [
            f"sigma_to_{_EDGES[0]}",
            *(f"sigma_{low}_to_{high}" for low, high in pairwise(_EDGES)),
            f"sigma_from_{_EDGES[-1]}",
        ],
        strict=True,
    )
)
"""Ranges of sigma in letters and digits, which every tracker takes."""


class Tracking:
    """The trackers of a run, in the process that speaks for it.

    Args:
        trackers: by name.
        say: tells people that one of them failed.
    """

    def __init__(self, trackers: Mapping[str, Tracker], say: Callable[[str], None]) -> None:
        self._trackers = dict(trackers)
        self._say = say

    def line(self, line: Line, prefix: str = "") -> None:
        """A line of metrics, or with a prefix of another file."""
        values = flat(asdict(line))
        images = int(values.pop("images"))
        self._all(lambda tracker: tracker.log({prefix + name: value for name, value in values.items()}, images))

    def picture(self, name: str, path: Path, images: int) -> None:
        """A picture."""
        self._all(lambda tracker: tracker.picture(name, path, images))

    def finish(self) -> None:
        """The run stops here."""
        self._all(lambda tracker: tracker.finish())

    def _all(self, tell: Callable[[Tracker], None]) -> None:
        for name, tracker in [*self._trackers.items()]:
            try:
                tell(tracker)
            except Exception as error:  # a package of others, its network, its disk: none is worth a training run
                del self._trackers[name]
                self._say(f"{name} no longer follows the run: {first_line(error)}; metrics.jsonl has everything")


def flat(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line by name: those of a mapping under its name, what is null left out."""
    found: dict[str, float] = {}
    for key, value in line.items():
        if isinstance(value, Mapping):
            inner = cast("Mapping[str, float | None]", value)
            found |= {f"{key}/{_NOISE_NAMES.get(n, n)}": float(v) for n, v in inner.items() if v is not None}
        elif isinstance(value, int | float):
            found[key] = value
    return found


def open_tracking(
    names: Sequence[TrackerName],
    run: Path,
    manifest: Manifest,
    settings: TrainSettings,
    images: int,
    say: Callable[[str], None],
) -> Tracking | None:
    """Begin to follow a run by these trackers, or go on under the ids that the run keeps; None without any.

    Says so where a run was followed by a tracker that is not among them.

    Raises:
        UsageError: a tracker cannot start here.
        RunError: the ids cannot be read or written.
    """
    ids = _ids(run)
    for name in TRACKERS:
        if name in ids and name not in names:
            say(f"{name} has followed this run so far, and does not now: --track {name} goes on with it")
    if not names:
        return None
    new = {name: secrets.token_hex(4) for name in names if name not in ids}
    config = {**codec.encode_fields(settings), "name": manifest.name, "spec_hash": manifest.spec_hash}
    trackers: dict[str, Tracker] = {}
    for name in names:
        followed = Followed(run, manifest.name, (ids | new)[name], images, config)
        trackers[name] = open_tracker(name, followed)
    if new:
        write_whole(run / TRACKING_NAME, (json.dumps(ids | new, indent=1) + "\n").encode(), sync=True)
    return Tracking(trackers, say)


def _ids(run: Path) -> dict[str, str]:
    """The ids under which trackers know the run."""
    path = run / TRACKING_NAME
    if not path.is_file():
        return {}
    help = "remove it: trackers then begin anew"
    try:
        data: object = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}", help=help) from error
    if not isinstance(data, dict) or not all(isinstance(id, str) for id in cast("dict[str, object]", data).values()):
        raise RunError(f"{path} is no record of trackers", help=help)
    return cast("dict[str, str]", data)
