"""Finding and reading weights: what sampling needs of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.checkpoint.layout import (
    EMA_PREFIX,
    WEIGHTS,
    check_digest,
    checkpoints,
    is_checkpoint,
    read_state,
)
from legoc_runtime.contract.manifest import MANIFEST_NAME
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of weights, by its header.

    Attributes:
        path: the .safetensors file.
        spec_text: the resolved spec that the weights belong to.
        spec_hash: its SHA-256.
        images: images trained on.
        kind: `weights`, or `ema-RATE`.
    """

    path: Path
    spec_text: str
    spec_hash: str
    images: int
    kind: str


def find_weights(path: Path, *, ema: str | None = None) -> WeightsFile:
    """The weights at a path.

    Args:
        path: a run (its newest checkpoint is taken), a checkpoint directory, or a .safetensors file.
        ema: None takes the first EMA if there is one, `none` the raw weights, a rate like `0.9999` that EMA.

    Raises:
        UsageError: there are no weights there, or not those asked for.
        RunError: the file is damaged, or not one of legoc's.
    """
    if path.is_file():
        if ema is not None:
            raise UsageError(
                f"{path} is one file of weights, there is no EMA to choose",
                help="give the run, or leave out --ema",
            )
        if path.suffix != tensorfile.SUFFIX and not tensorfile.is_pickle(path):
            raise UsageError(
                f"{path} is no weights file: those end in {tensorfile.SUFFIX}",
                help="give a run, a checkpoint or a .safetensors file",
            )
        found = read_header(path)
        if found.kind != WEIGHTS and not found.kind.startswith(EMA_PREFIX):
            raise UsageError(
                f"{path} holds the {found.kind}'s state, not weights",
                help=f"give {WEIGHTS}{tensorfile.SUFFIX} or an {EMA_PREFIX}* file beside it",
            )
        return found
    checkpoint = path if is_checkpoint(path) else _newest(path)
    names = cast("dict[str, str]", read_state(checkpoint)["files"])
    kinds = [name.removesuffix(tensorfile.SUFFIX) for name in names]
    return read_header(checkpoint / f"{_choose(kinds, ema, checkpoint)}{tensorfile.SUFFIX}")


def read_header(path: Path) -> WeightsFile:
    """A weights file, by its header.

    Raises:
        RunError: it is cut short, is a pickle, or is not one of legoc's.
    """
    header = tensorfile.metadata(path)
    try:
        return WeightsFile(
            path,
            header["legoc.spec"],
            header["legoc.spec_hash"],
            int(header["legoc.images"]),
            header["legoc.kind"],
        )
    except (KeyError, ValueError) as error:
        raise RunError(
            f"{path} holds tensors, but not weights of legoc: its header has no spec",
            help="give a file that `legoc train` wrote; `legoc import` makes one of weights of others",
        ) from error


def read_tensors(file: WeightsFile, keys: Collection[str] | None = None) -> dict[str, Tensor]:
    """The tensors of a weights file, on the CPU. Checks their checksum where the file lies in its checkpoint.

    Args:
        file: the weights.
        keys: those to read; None reads all. Only these are read of the file, and only they are checked, unless an
            older legoc wrote it: then there is but the checksum of the whole file.

    Raises:
        RunError: what was read is damaged.
    """
    name, state = file.path.name, _state(file)
    each = cast("dict[str, dict[str, str]]", state.get("tensors", {})).get(name)
    if keys is None or each is None:
        if digest := file_sha256(file, state):
            check_digest(file.path, digest)
        return tensorfile.load(file.path) if keys is None else tensorfile.load_some(file.path, keys)
    tensors = tensorfile.load_some(file.path, keys)
    for key, tensor in tensors.items():
        if tensorfile.tensor_sha256(tensor) != each.get(key):
            raise RunError(
                f"{file.path} is damaged: {key} does not have its checksum", help="take another checkpoint of the run"
            )
    return tensors


def file_sha256(file: WeightsFile, state: Mapping[str, Any] | None = None) -> str | None:
    """SHA-256 of a weights file by the state of its checkpoint, None where it lies in none. Reads no weight."""
    found = _state(file) if state is None else state
    return cast("dict[str, str]", found.get("files", {})).get(file.path.name)


def unread_bytes(file: WeightsFile, keys: Collection[str]) -> int:
    """The bytes of the tensors of a file that are not among `keys`."""
    return sum(found.bytes for key, found in tensorfile.headers(file.path).items() if key not in keys)


def _state(file: WeightsFile) -> dict[str, Any]:
    """The state of the checkpoint that a file lies in; empty where it lies in none."""
    return read_state(file.path.parent) if is_checkpoint(file.path.parent) else {}


def _newest(path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(f"there are no weights at {path}", help="give a run, a checkpoint or a .safetensors file")
    found = checkpoints(path)
    if not found and (path / MANIFEST_NAME).is_file():
        raise UsageError(f"{path} has no checkpoint yet", help="train it with `legoc train`")
    if not found:
        raise UsageError(f"{path} is neither a run nor a checkpoint", help="give one that `legoc train` made")
    return found[-1]


def _choose(kinds: list[str], ema: str | None, checkpoint: Path) -> str:
    averages = [kind for kind in kinds if kind.startswith(EMA_PREFIX)]
    if ema is None:
        return averages[0] if averages else WEIGHTS
    if ema == "none":
        return WEIGHTS
    rates = {kind: kind.removeprefix(EMA_PREFIX) for kind in averages}
    for kind, rate in rates.items():
        if _same_rate(rate, ema):
            return kind
    known = ", ".join([*rates.values(), "none"])
    raise UsageError(f"{checkpoint} has no EMA of rate {ema}", help=f"choose one of {known}")


def _same_rate(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return float(one) == float(other)
    except ValueError:
        return False
