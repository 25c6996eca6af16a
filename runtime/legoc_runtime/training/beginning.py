"""What a run begins with: weights drawn by its seed, or those of another run; optimizer and step begin anew in both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from legoc_runtime.checkpoint import WeightsFile, read_tensors
from legoc_runtime.checkpoint.tensorfile import sha256
from legoc_runtime.errors import UsageError
from legoc_runtime.store import WeightStore
from legoc_runtime.training.resume import Start

STARTED_FROM = "started_from"
"""Key of it in `state.json`, and with `legoc.` before it in the headers of files."""


def started_from(file: WeightsFile | None, asked: str | None = None) -> dict[str, Any] | None:
    """What a run keeps about the weights that it began with, `start_from` of its settings among it."""
    if file is None:
        return None
    return {
        "asked": asked,
        "file": str(file.path),
        "sha256": sha256(file.path),
        "kind": file.kind,
        "images": file.images,
        "spec_hash": file.spec_hash,
    }


def agreed_beginning(
    start: Start | None, given: dict[str, Any] | None, asked: str | None = None
) -> dict[str, Any] | None:
    """What the run began with: what was given, or when it goes on what it keeps.

    Args:
        start: where it stands; None where it begins.
        given: the weights that were looked up, as `started_from` tells them.
        asked: `start_from` of the settings. A run that goes on does not look it up again: what it names may be gone,
            or have trained on.

    Raises:
        UsageError: it goes on, and began with something else than what is given now; or it begins, and the weights that
            its settings ask for were not given.
    """
    if start is None:
        if asked is not None and given is None:
            raise UsageError(
                f"the settings begin with the weights of {asked} (train.start_from), which were not given",
                help="pass `start_from=` to `train`, or take the setting back",
            )
        return given
    kept = cast("dict[str, Any] | None", start.state.get(STARTED_FROM))
    was = "weights drawn by its seed" if kept is None else f"{kept['file']} ({kept['sha256'][:12]})"
    if given is not None and (kept is None or kept["sha256"] != given["sha256"]):
        raise UsageError(
            f"the run has begun already, with {was}, and --from names {given['file']}",
            help="leave --from out to continue it, or train into another --out",
        )
    if given is None and asked is not None and asked != (kept or {}).get("asked"):
        raise UsageError(
            f"the run has begun already, with {was}, and train.start_from names {asked}",
            help="take the key back to continue it, or train into another --out",
        )
    return kept


def begin(store: WeightStore, seed: int, file: WeightsFile | None) -> None:
    """Put the first weights into a store.

    Raises:
        RunError: the file is damaged, or of another stack.
    """
    if file is None:
        store.initialise(seed)
    else:
        store.load(read_tensors(file))


def beginning_words(begun: Mapping[str, Any]) -> str:
    """What people are told of it."""
    return f"beginning with {begun['file']} ({begun['kind']} after {begun['images']:,} images)"
