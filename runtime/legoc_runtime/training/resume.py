"""Whether and from where a run continues, and what must be as it was for that to be exact."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch

from legoc_runtime.checkpoint import checkpoints, is_checkpoint, verify
from legoc_runtime.checkpoint.layout import OPTIMIZER
from legoc_runtime.checkpoint.tensorfile import SUFFIX
from legoc_runtime.contract import codec
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.data.training_set import TrainingSet
from legoc_runtime.errors import UsageError

Resume = Literal["auto", "never"] | Path
"""`auto`: from the newest checkpoint, if there is one. `never`: where there is none. A path: from there."""

MAY_CHANGE = frozenset(
    {"images", "snapshot_images", "keep", "keep_every_images", "log_images", "ema_snapshot_images"}
    | {"preview_images", "preview_seeds", "on_explosion", "start_from"}
)
"""Settings that do not act on any step; `images` does where the learning rate falls to its end, and what a run begins
with is held against what it began with by itself (`beginning.py`)."""

KEYS = {"learning_rate": "optimizer.lr", "betas": "optimizer.betas", "weight_decay": "optimizer.weight_decay"}
"""Settings whose key under `train:` is not their name."""

FOR_GOOD = frozenset({"train.ema", "train.ema_profiles"})
"""What cannot change within a run: averages are made from its beginning on."""

ROUNDING = frozenset({"accumulate", "checkpoint_activations", "sharding"})
"""Settings that move a step by rounding only."""


@dataclass(frozen=True, slots=True)
class Start:
    """A checkpoint to continue from, verified.

    Attributes:
        checkpoint: its directory.
        state: its `state.json`.
    """

    checkpoint: Path
    state: dict[str, Any]

    @property
    def images(self) -> int:
        """Images trained on."""
        return int(self.state["images"])


def find_start(run: Path, resume: Resume) -> Start | None:
    """The checkpoint to continue from, or None to begin.

    Raises:
        UsageError: the run has checkpoints and is not to be continued, or there is none at the path.
        RunError: the checkpoint is damaged.
    """
    own = checkpoints(run)
    if isinstance(resume, Path):
        return _given(run, own, resume)
    if not own:
        return None
    if resume == "never":
        raise UsageError(
            f"{run} has checkpoints, the last is {own[-1].name}",
            help="continue it with --resume auto, or train into another --out",
        )
    return _start(own[-1])


def _start(checkpoint: Path) -> Start:
    """A checkpoint to continue from. One of weights alone, such as an imported one, is none."""
    state = verify(checkpoint)
    if f"{OPTIMIZER}{SUFFIX}" not in state["files"]:
        raise UsageError(
            f"{checkpoint} holds weights alone, without the optimizer's state: there is nothing to continue",
            help=f"sample from it, or begin a run with it: legoc train SPEC --from {checkpoint} --out RUN",
        )
    return Start(checkpoint, state)


def check_given(resume: Resume) -> None:
    """Refuse a path that is no checkpoint, before a run is made for it.

    Raises:
        UsageError: there is none at the path.
    """
    if isinstance(resume, Path) and not is_checkpoint(resume):
        runs_last = checkpoints(resume)[-1:]
        raise UsageError(
            f"{resume} is not a checkpoint",
            help=f"--resume {runs_last[0]}" if runs_last else "give a directory inside RUN/checkpoints",
        )


def _given(run: Path, own: tuple[Path, ...], checkpoint: Path) -> Start:
    check_given(checkpoint)
    if own and checkpoint.resolve() not in [path.resolve() for path in own]:
        raise UsageError(
            f"{run} has checkpoints of its own, {checkpoint} is of another run",
            help="train into another --out to begin from it",
        )
    return _start(checkpoint)


def record(manifest: Manifest, settings: TrainSettings, dataset: TrainingSet) -> dict[str, Any]:
    """What `state.json` keeps about a run so that it can be continued exactly, or not at all."""
    data = {"images": len(dataset), "sha256": dataset.fingerprint}
    return {**stack_record(manifest, settings), "data": data}


def stack_record(manifest: Manifest, settings: TrainSettings) -> dict[str, Any]:
    """The part of it that no image set is needed for."""
    return {
        "name": manifest.name,
        "legoc_version": manifest.legoc_version,
        "spec_hash": manifest.spec_hash,
        "shape": codec.encode_fields(manifest.shape),
        "label_dropout": manifest.label_dropout,
        "settings": codec.encode_fields(settings),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }


def check_change(change: Collection[str]) -> None:
    """Refuse changes that are none of a training setting.

    Raises:
        UsageError: names the first, and those that there are.
    """
    all_that_act = codec.encode_fields(TrainSettings(schedule="cosine"))  # `images` among them
    known = sorted(_acting(all_that_act).keys() - FOR_GOOD)
    for key in change:
        if key in FOR_GOOD:
            raise UsageError(
                f"{key} cannot change within a run", help="averages begin with it: train into another --out"
            )
        if key not in known:
            raise UsageError(f"--change {key} names no training setting", help=f"there is {', '.join(known)}")


def check_continues(start: Start, now: Mapping[str, Any], change: Collection[str] = ()) -> tuple[str, ...]:
    """Whether a run that stands at `start` may go on under the record `now`.

    Args:
        start: where it stands.
        now: what it would be from now on.
        change: keys of settings that are meant to be others from here on, e.g. `train.optimizer.lr`.

    Returns:
        what people should know: changes that were asked for or leave every step as it was, and versions that may not.

    Raises:
        UsageError: spec, settings or data differ in what acts on a step; names each value before and after.
    """
    then = start.state
    changed = _differences("spec", then["shape"], now["shape"])
    changed += _differences("spec.conditioning.label_dropout", then["label_dropout"], now["label_dropout"])
    # a setting that came after the checkpoint: its default is what the run did without it
    settings = {**codec.encode_fields(TrainSettings()), **then["settings"]}
    meant: list[str] = []
    for key, before in _acting(settings).items():
        (meant if key in change else changed).extend(_differences(key, before, _acting(now["settings"]).get(key)))
    if changed:
        raise UsageError(
            f"{start.checkpoint} cannot be continued under other settings: {'; '.join(changed[:6])}"
            + (f" and {len(changed) - 6} more" if len(changed) > 6 else ""),
            help=_back(changed),
        )
    before, after = then["data"], now["data"]
    notes = [f"changed from image {start.images:,} on: {text}" for text in meant]
    if before is None:
        before = after
        notes.append("migrated to other data than it was trained on: going on with these images")
    if before["images"] != after["images"]:
        raise UsageError(
            f"{start.checkpoint} was trained on {before['images']:,} images, the data has {after['images']:,}",
            help="give the same --data, or train into another --out",
        )
    if before["sha256"] != after["sha256"]:
        raise UsageError(
            f"{start.checkpoint} was trained on images of other names or labels, or resized otherwise",
            help="give the same --data, or train into another --out",
        )
    if then["spec_hash"] != now["spec_hash"] and not meant:
        notes.append("the spec has changed since, in nothing that acts on training")
    if parts := _differences("train", _rounding(settings), _rounding(now["settings"])):
        notes.append(f"not exact: steps are computed in another way ({'; '.join(parts)})")
    if then.get("ranks", 1) != now.get("ranks", 1):
        notes.append(f"not exact: {then.get('ranks', 1)} processes trained before, {now.get('ranks', 1)} do now")
    if versions := _differences("", then["versions"], now["versions"]):
        notes.append(f"not exact: the checkpoint was written under other versions ({'; '.join(versions)})")
    return tuple(notes)


def _acting(settings: Mapping[str, Any]) -> dict[str, Any]:
    falls_to_the_end = settings["schedule"] == "cosine" and settings["decay_images"] is None
    free = (MAY_CHANGE - {"images"} if falls_to_the_end else MAY_CHANGE) | ROUNDING
    return {f"train.{KEYS.get(name, name)}": value for name, value in settings.items() if name not in free}


def _back(changed: Sequence[str]) -> str:
    keys = [text.partition(":")[0].partition("[")[0] for text in changed]
    if all(key.startswith("train.") and key not in FOR_GOOD for key in keys):
        meant = " ".join(f"--change {key}" for key in dict.fromkeys(keys))
        return f"set them back, train into another --out, or say that they are meant: {meant}"
    return "set them back, or train into another --out"


def _rounding(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in sorted(ROUNDING)}


def _differences(place: str, before: object, after: object) -> list[str]:
    """Where two JSON values differ, as `place: before -> after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        one, other = cast("dict[str, object]", before), cast("dict[str, object]", after)
        keys = [*one, *(key for key in other if key not in one)]
        return [d for key in keys for d in _differences(f"{place}.{key}".lstrip("."), one.get(key), other.get(key))]
    if isinstance(before, list) and isinstance(after, list):
        rows, others = cast("list[object]", before), cast("list[object]", after)
        if len(rows) == len(others):
            pairs = zip(rows, others, strict=True)
            return [d for i, (b, a) in enumerate(pairs) for d in _differences(f"{place}[{i}]", b, a)]
        return [f"{place}: {len(rows)} entries -> {len(others)}"]
    return [] if before == after else [f"{place}: {before!r} -> {after!r}"]
