"""Where checkpoints lie, and what their `state.json` says."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.errors import RunError

CHECKPOINTS = "checkpoints"
AVERAGES = "averages"
"""Where a run keeps averages that others can be made of (`training/posthoc.py`), laid out as checkpoints are."""
SUPERSEDED = "superseded"
"""Where checkpoints lie that a run went back behind."""
STATE_NAME = "state.json"
STATE_VERSION = 1
WEIGHTS = "weights"
OPTIMIZER = "optimizer"
EMA_PREFIX = "ema-"
PROFILE_PREFIX = "ema-profile-"
"""Of averages with a power-function profile; their width follows."""

_DIRECTORY = re.compile(r"\d{12,}")
_MAX_STATE_BYTES = 16 * 2**20
_OTHER = "take another checkpoint of the run"


def directory(run: Path, images: int, folder: str = CHECKPOINTS) -> Path:
    """Where the checkpoint of a run at so many images lies, or with `AVERAGES` its averages."""
    return run / folder / f"{images:012d}"


def checkpoints(run: Path, folder: str = CHECKPOINTS) -> tuple[Path, ...]:
    """The checkpoints of a run, oldest first; with `AVERAGES` its averages. Empty for a directory that is no run."""
    root = run / folder
    if not root.is_dir():
        return ()
    found = [path for path in root.iterdir() if _DIRECTORY.fullmatch(path.name) and is_checkpoint(path)]
    return tuple(sorted(found, key=lambda path: int(path.name)))


def is_checkpoint(path: Path) -> bool:
    """Whether a path is a checkpoint directory: `state.json` is written last."""
    return (path / STATE_NAME).is_file()


def shard_name(rank: int, size: int) -> str:
    """The file of one process: `optimizer-1-of-2.safetensors` of the first of two."""
    return f"{OPTIMIZER}-{rank + 1}-of-{size}{tensorfile.SUFFIX}"


def is_optimizer(name: str) -> bool:
    """Whether a file or kind of a checkpoint is the optimizer's, or a process's share of it."""
    return name == OPTIMIZER or name.startswith((f"{OPTIMIZER}.", f"{OPTIMIZER}-"))


def shards_of(names: Collection[str]) -> tuple[str, ...]:
    """Those of a checkpoint's files that hold a process's share of the optimizer's state."""
    return tuple(sorted(name for name in names if name.startswith(f"{OPTIMIZER}-")))


def write_state(checkpoint: Path, state: Mapping[str, Any]) -> None:
    """Write `state.json`, with a checksum of its own."""
    body = {"version": STATE_VERSION, **state}
    text = json.dumps({**body, "sha256": _digest(body)}, indent=1, allow_nan=False) + "\n"
    (checkpoint / STATE_NAME).write_text(text, encoding="utf-8")


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The state of a checkpoint; `files` maps file names to their SHA-256.

    Raises:
        RunError: it cannot be read, is damaged, or is of a version that this legoc does not read.
    """
    path = checkpoint / STATE_NAME
    try:
        if path.stat().st_size > _MAX_STATE_BYTES:
            raise RunError(f"{path} is too large for a state", help=_OTHER)
        data: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}", help=_OTHER) from error
    if not isinstance(data, dict):
        raise RunError(f"{path} is not a mapping", help=_OTHER)
    state = cast("dict[str, Any]", data)
    digest = state.pop("sha256", None)
    if state.get("version") != STATE_VERSION:
        raise RunError(f"{path} is not of version {STATE_VERSION}", help="continue with the legoc that wrote it")
    if digest != _digest(state):
        raise RunError(f"{path} is damaged: it does not have its checksum", help=_OTHER)
    return state


def verify(checkpoint: Path) -> dict[str, Any]:
    """The state of a checkpoint, once every file of it has its checksum.

    Raises:
        RunError: a file is missing or damaged; the help names the checkpoint before it that is whole.
    """
    try:
        return _verified(checkpoint)
    except RunError as error:
        older = [path for path in checkpoints(checkpoint.parent.parent) if path.name < checkpoint.name]
        whole = next((path for path in reversed(older) if _is_whole(path)), None)
        help = f"continue from the one before it with --resume {whole}" if whole else "no earlier one is whole"
        raise RunError(error.message, help=help) from error


def check_digest(path: Path, digest: str) -> None:
    """Raise RunError unless a file has this SHA-256."""
    try:
        found = tensorfile.sha256(path)
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing", help=_OTHER) from error
    except OSError as error:
        raise RunError(f"{path} cannot be read: {tensorfile.reason(error)}", help=_OTHER) from error
    if found != digest:
        raise RunError(f"{path} is damaged: it does not have the checksum in {STATE_NAME}", help=_OTHER)


def _verified(checkpoint: Path) -> dict[str, Any]:
    state = read_state(checkpoint)
    for name, digest in cast("dict[str, str]", state["files"]).items():
        check_digest(checkpoint / name, digest)
    return state


def _is_whole(checkpoint: Path) -> bool:
    try:
        _verified(checkpoint)
    except RunError:
        return False
    return True


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True, allow_nan=False).encode()).hexdigest()
