"""A file or folder of weights, whoever wrote it: its tensors by their names, and whose names they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.checkpoint.layout import is_checkpoint
from legoc_runtime.contract.manifest import MANIFEST_NAME
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.foreign.names import Kind, told_by_names
from legoc_runtime.foreign.origins import Stored
from legoc_runtime.foreign.stored import SAFETENSORS, in_pickle, in_safetensors
from legoc_runtime.interop.folder import INDEX_NAME, STACK_FOLDER, WEIGHTS_NAME

_MAX_CONFIG_BYTES = 4 * 2**20
_DIFFUSERS_WEIGHTS = "diffusion_pytorch_model"
_DIFFUSERS_CLASSES = ("DiTTransformer2DModel", "Transformer2DModel")


@dataclass(frozen=True)
class Foreign:
    """Weights that another program wrote.

    Attributes:
        path: the file or folder.
        files: the files of tensors that were read.
        container: what kind of file it is, for people.
        kind: whose names its tensors have.
        part: the part of a checkpoint that was taken; None where there is but one.
        tensors: name -> tensor, without a common prefix.
        config: what a folder's `config.json` says; empty for a file.
    """

    path: Path
    files: tuple[Path, ...]
    container: str
    kind: Kind
    part: str | None
    tensors: Mapping[str, Stored]
    config: Mapping[str, Any]


def open_foreign(path: Path, part: str | None = None) -> Foreign:
    """What is at a path. Of its tensors only names and shapes are read.

    Args:
        path: a .pkl, .pt or .safetensors file, or a folder of diffusers or of `legoc export`.
        part: which part of a checkpoint, e.g. `ema` or `model`; None takes the average where there is one.

    Raises:
        UsageError: there are no weights, no such part, or the weights of no model that a stack can be.
        RunError: it is damaged, or a pickle with what no file of weights has; nothing of it was run.
    """
    if path.is_dir():
        if part is not None:
            raise UsageError(f"{path} is a folder, which has no parts", help="leave out --part")
        return _folder(path)
    if not path.is_file():
        raise UsageError(f"there is no file {path}", help="give a .pkl, .pt or .safetensors file, or a folder")
    if tensorfile.is_safetensors(path):
        if part is not None:
            raise UsageError(f"{path} is a safetensors file, which has no parts", help="leave out --part")
        return _told(path, (path,), SAFETENSORS, None, in_safetensors(path), {})
    tensors, chosen, container = in_pickle(path, part)
    return _told(path, (path,), container, chosen, tensors, {})


def _told(
    path: Path,
    files: tuple[Path, ...],
    container: str,
    part: str | None,
    tensors: Mapping[str, Stored],
    config: Mapping[str, Any],
) -> Foreign:
    """By the names of its tensors."""
    if told := told_by_names(tensors):
        kind, own = told
        return Foreign(path, files, container, kind, part, own, config)
    some = ", ".join(list(tensors)[:3])
    raise UsageError(
        f"{path} holds the weights of no model that legoc knows ({some} ...)",
        help="it imports the released LEGO models, DiT, diffusers' DiT and folders of `legoc export`",
    )


# folders ----------------------------------------------------------------------------------------------------------


def _folder(path: Path) -> Foreign:
    """One of `legoc export`, or of diffusers: a pipeline's, or a model's own."""
    for stack in (path / STACK_FOLDER, path):
        if (stack / WEIGHTS_NAME).is_file() and (stack / MANIFEST_NAME).is_file():
            weights = stack / WEIGHTS_NAME
            return _told(stack, (weights,), "a folder of legoc export", None, in_safetensors(weights), {})
    if is_checkpoint(path) or (path / MANIFEST_NAME).is_file():
        raise UsageError(f"{path} is legoc's own already", help="`legoc sample` and `legoc train` take it as it is")
    model = path / "transformer" if (path / "transformer").is_dir() else path
    config = read_config(model / "config.json")
    name = config.get("_class_name")
    if name not in _DIFFUSERS_CLASSES:
        raise UsageError(
            f"{model} is of a {name!s:.60}, not of a DiTTransformer2DModel",
            help="of diffusers' models a DiT can be a stack",
        )
    files = _diffusers_files(model)
    tensors: dict[str, Stored] = {}
    for file in files:
        tensors |= in_safetensors(file) if tensorfile.is_safetensors(file) else in_pickle(file)[0]
    return _told(path, files, "a folder of diffusers", None, tensors, config)


def _diffusers_files(model: Path) -> tuple[Path, ...]:
    """One file, or the several that an index names."""
    index = model / f"{_DIFFUSERS_WEIGHTS}.safetensors.index.json"
    if index.is_file():
        listed: object = read_config(index).get("weight_map")
        names = sorted(
            {str(name) for name in cast("dict[str, object]", listed).values()} if isinstance(listed, dict) else ()
        )
        if not names or any(Path(name).name != name for name in names):
            raise RunError(f"{index} names no files beside it", help="save the model again")
        return tuple(model / name for name in names)
    for suffix in (".safetensors", ".bin"):
        if (model / f"{_DIFFUSERS_WEIGHTS}{suffix}").is_file():
            return (model / f"{_DIFFUSERS_WEIGHTS}{suffix}",)
    raise UsageError(f"{model} has no {_DIFFUSERS_WEIGHTS}.safetensors", help="give the folder that diffusers saved")


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object in a folder.

    Raises:
        UsageError: there is none.
        RunError: it is damaged.
    """
    if not path.is_file():
        raise UsageError(
            f"{path.parent} is no folder of weights: it has no {path.name}",
            help=f"give a folder with {INDEX_NAME} or config.json, as diffusers and `legoc export` write them",
        )
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise RunError(f"{path} is too large for a configuration")
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}", help="take the folder anew") from error
    if not isinstance(found, dict):
        raise RunError(f"{path} is not a JSON object", help="take the folder anew")
    return cast("dict[str, Any]", found)
