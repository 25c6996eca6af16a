"""One file of weights to hand on: what `legoc export -o NAME.safetensors` writes, and types that weights are kept in.

takes: weights of a run
gives: a .safetensors file with the resolved spec in its header, which `legoc sample` takes as it is
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from legoc_runtime.backends.device import choose_dtype
from legoc_runtime.checkpoint import WeightsFile, tensorfile
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from torch import Tensor


def kept_as(tensors: Mapping[str, Tensor], dtype: str | None) -> Mapping[str, Tensor]:
    """Weights in the type that they are to be kept in.

    Args:
        tensors: weights by key.
        dtype: `float32`, `bf16` or `fp16`; None leaves them as they are.

    Returns:
        weights by the same keys, rounded to nearest.

    Raises:
        UsageError: there is no such type, or a weight lies outside its range.
    """
    if dtype is None:
        return tensors
    kind = choose_dtype(dtype)
    kept = {key: tensor.to(kind) for key, tensor in tensors.items()}
    for key, tensor in kept.items():
        if not bool(tensor.isfinite().all()) and bool(tensors[key].isfinite().all()):
            raise UsageError(f"{key} has values that {dtype} does not hold", help="--dtype bf16 has float32's range")
    return kept


def write_file(weights: WeightsFile, tensors: Mapping[str, Tensor], out: Path) -> None:
    """Write weights as one file, whole or not at all.

    Args:
        weights: the file that the tensors come from; its header goes along, with the spec in it.
        tensors: every weight by its key.
        out: the file; the caller has seen that nothing is there.

    Raises:
        RunError: the disk does not take it; nothing is left of it then.
    """
    try:
        tensorfile.replace_file(out, tensors, tensorfile.metadata(weights.path))
    except OSError as error:
        raise RunError(f"{out} cannot be written: {tensorfile.reason(error)}", help="choose another place") from error
