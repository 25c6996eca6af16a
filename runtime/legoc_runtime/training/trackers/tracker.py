"""What a tracker is, and which there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, assert_never, get_args

from legoc_runtime.errors import UsageError

TrackerName = Literal["tensorboard", "wandb", "trackio"]
TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)


class Tracker(Protocol):
    """Shows what it is told. Numbers of the same `images` belong to one point."""

    def log(self, values: Mapping[str, float], images: int) -> None:
        """Numbers by name, after so many images."""
        ...

    def picture(self, name: str, path: Path, images: int) -> None:
        """A PNG file, after so many images."""
        ...

    def finish(self) -> None:
        """The run stops here, and may go on another time."""
        ...


@dataclass(frozen=True, slots=True)
class Followed:
    """The run that a tracker is to follow.

    Attributes:
        run: the run directory.
        project: name of the stack.
        id: which run this is to the tracker; the same one every time that the run goes on.
        images: images trained on so far.
        config: the training settings and the hash of the spec, JSON-ready.
    """

    run: Path
    project: str
    id: str
    images: int
    config: Mapping[str, Any]


def check_trackers(names: tuple[str, ...]) -> tuple[TrackerName, ...]:
    """The trackers of these names, each once, their packages being installed.

    Raises:
        UsageError: there is no such tracker, or its package is not installed.
    """
    found: list[TrackerName] = []
    for name in dict.fromkeys(names):
        known: list[TrackerName] = [tracker for tracker in TRACKERS if tracker == name]
        if not known:
            raise UsageError(f"there is no tracker `{name}`", help=f"the trackers are {', '.join(TRACKERS)}")
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # None of a mere folder of this name, as wandb leaves them
            raise UsageError(f"--track {name} needs the package {name}", help=f"pip install 'legoc[{name}]'")
        found += known
    return tuple(found)


def open_tracker(name: TrackerName, followed: Followed) -> Tracker:
    """Begin to follow a run, or go on.

    Raises:
        UsageError: the tracker cannot start here; says why in its own words.
    """
    try:
        match name:
            case "tensorboard":
                from legoc_runtime.training.trackers.tensorboard import TensorBoard

                return TensorBoard(followed)
            case "wandb":
                from legoc_runtime.training.trackers.wandb import WeightsAndBiases

                return WeightsAndBiases(followed)
            case "trackio":
                from legoc_runtime.training.trackers.trackio import Trackio

                return Trackio(followed)
            case _:
                assert_never(name)
    except Exception as error:  # whatever a package of others raises: no login, no network, a wrong version
        help = "`wandb login`, or WANDB_MODE=offline" if name == "wandb" else f"train without --track {name}"
        raise UsageError(f"{name} cannot follow this run: {first_line(error)}", help=help) from error


def first_line(error: Exception) -> str:
    """What an exception says, in one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
