"""Opens the model of a pretrained brick, holds its files against what a build says, and makes stores with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import assert_never

import torch

from legoc_runtime.checkpoint.tensorfile import sha256
from legoc_runtime.contract.stack import PretrainedShape, StackShape
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.layers.pretrained import PretrainedBrick, PretrainedNetwork
from legoc_runtime.pretrained import dit, entry_point, from_diffusers, own_stack
from legoc_runtime.store import WeightStore


def open_store(
    shape: StackShape,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    bricks: Collection[str] | None = None,
) -> WeightStore:
    """A store whose pretrained brick, where the stack has one, is there and can run.

    Args:
        shape: the architecture.
        device: where weights live.
        dtype: type of the weights, those of the model too.
        bricks: the bricks to hold; None holds all.

    Raises:
        UsageError: no such brick, or the model's adapter is not installed.
        RunError: the model's files are gone, changed or damaged.
    """
    given = shape.runs_pretrained(shape.ids if bricks is None else bricks)
    opened = None if given is None else open_brick(given, device=device, dtype=dtype)
    return WeightStore(shape, device=device, dtype=dtype, bricks=bricks, pretrained=opened)


def open_brick(
    shape: PretrainedShape, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> PretrainedBrick:
    """The model of a pretrained brick.

    Raises:
        UsageError: its adapter is not installed.
        RunError: its files are gone, changed since the build, or damaged.
    """
    _verify(shape)
    network, shape = _opened(shape, dtype)
    return PretrainedBrick(shape, network.to(device=device, dtype=dtype))


def sealed(shape: StackShape) -> StackShape:
    """A stack's shape with what only the opened model tells, and the checksums of its files: what a build records.

    Raises:
        UsageError: the model does not fit the stack, or its adapter is not installed.
        RunError: its files are gone or damaged.
    """
    if shape.pretrained is None:
        return shape
    given = replace(shape.pretrained, files=())
    given = replace(given, files=tuple((name, _digest(_folder(given), name)) for name in _files(given)))
    network, given = _opened(given, torch.float32)
    brick = PretrainedBrick(given, network)
    if given.classes not in (None, shape.classes):
        have = "none" if shape.classes is None else f"{shape.classes:,}"
        raise UsageError(
            f"the model of brick `{given.id}` has {given.classes:,} classes, the stack has {have}",
            help="take another model, or give the stack its classes",
        )
    _try(brick, shape, given)
    weights = tuple((name, tuple(weight.shape)) for name, weight in network.named_weights().items())
    return replace(shape, pretrained=replace(given, weights=weights))


def _files(shape: PretrainedShape) -> list[str]:
    match shape.kind:
        case "stack":
            return own_stack.files(shape)
        case "module":
            return entry_point.files(shape)
        case "diffusers_unet" | "diffusers_dit":
            return from_diffusers.files(shape)
        case "dit":
            return dit.files(shape)
        case _:
            assert_never(shape.kind)


def _opened(shape: PretrainedShape, dtype: torch.dtype) -> tuple[PretrainedNetwork, PretrainedShape]:
    """The model, and the shape with what it alone tells."""
    match shape.kind:
        case "stack":
            return own_stack.opened(shape, dtype), shape
        case "module":
            return entry_point.opened(shape)
        case "diffusers_unet" | "diffusers_dit":
            return from_diffusers.opened(shape), shape
        case "dit":
            return dit.opened(shape, dtype), shape
        case _:
            assert_never(shape.kind)


def _verify(shape: PretrainedShape) -> None:
    folder = _folder(shape)
    if not shape.files and not folder.is_dir():
        raise RunError(f"the model of brick `{shape.id}` is not at {folder}", help=_WHERE)
    for name, digest in shape.files:
        if _digest(folder, name) != digest:
            raise RunError(
                f"{folder / name} is not what brick `{shape.id}` was built with: its checksum is another",
                help="bring the file back, or build again with the model as it is now",
            )


_WHERE = "the path is relative to the current directory, as in the spec"


def _folder(shape: PretrainedShape) -> Path:
    """The folder that a model's files are named in: its own, or that of its one file."""
    path = Path(shape.path)
    return path if shape.kind != "dit" or path.is_dir() else path.parent


def _digest(folder: Path, name: str) -> str:
    try:
        return sha256(folder / name)
    except OSError as error:
        raise RunError(f"{folder / name} cannot be read: {error.strerror or error}", help=_WHERE) from error


def _try(brick: PretrainedBrick, shape: StackShape, given: PretrainedShape) -> None:
    """One image through the model: what comes out must be an image of the stack."""
    x, sigma = torch.zeros(1, shape.channels, *shape.grid), torch.ones(1)
    labels = None if given.classes is None else torch.full((1,), given.classes, dtype=torch.int64)
    with torch.inference_mode():
        found = brick(x, sigma, labels)
    if found.shape != x.shape:
        raise UsageError(
            f"the model of brick `{given.id}` gives {tuple(found.shape)} for an image {tuple(x.shape)}",
            help="its prediction must have the shape of its input",
        )
