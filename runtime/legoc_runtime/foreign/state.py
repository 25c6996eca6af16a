"""The named tensors in what a pickle describes: a state dict, one inside a checkpoint, or those of whole networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.foreign.records import Instance, PickledTensor

PARTS = ("ema", "model_ema", "model", "state_dict", "net")
"""Names under which checkpoints keep weights, averages first: they are what is sampled from."""

_MAX_NETWORKS = 100_000

Tensors = dict[str, PickledTensor]


def tensors_in(found: object, part: str | None = None) -> tuple[Tensors, str | None]:
    """The tensors of a checkpoint, by name.

    Args:
        found: what its pickle describes.
        part: the part of the checkpoint to take; None takes the first of `PARTS` that there is.

    Returns:
        Tensors by name, and the part that was taken; None where the checkpoint is the weights alone.

    Raises:
        UsageError: it has no such part.
        RunError: it has no tensors.
    """
    if isinstance(found, dict):
        mapping = cast("dict[object, object]", found)
        held = {str(key): tensors for key, value in mapping.items() if (tensors := _tensors(value))}
        direct = {str(key): value for key, value in mapping.items() if isinstance(value, PickledTensor)}
        if part is None and direct:
            return direct, None
        chosen = part if part is not None else next((name for name in PARTS if name in held), None)
        if chosen is not None:
            if chosen not in held:
                have = f"its parts are {', '.join(held)}" if held else "it is weights alone: leave out --part"
                raise UsageError(f"the file has no part `{chosen}` with tensors", help=have)
            return held[chosen], chosen
    elif part is not None:
        raise UsageError(f"the file has no part `{part}`: it is one network", help="leave out --part")
    if tensors := _tensors(cast("object", found)):
        return tensors, None
    raise RunError("it holds no tensors by name")


def _tensors(found: object) -> Tensors:
    """Those of a network or of a flat mapping; empty for anything else."""
    if isinstance(found, Instance):
        return _of_network(found)
    if isinstance(found, dict):
        items = cast("dict[object, object]", found).items()
        return {str(key): value for key, value in items if isinstance(value, PickledTensor)}
    return {}


def _of_network(network: Instance) -> Tensors:
    """A network's tensors as `state_dict` would name them, by the attributes that `torch.nn.Module` keeps them in.

    Networks may share parts, and a file can make endless paths of a few: how many are walked is bounded.
    """
    tensors: Tensors = {}
    waiting: list[tuple[str, Instance]] = [("", network)]
    for _ in range(_MAX_NETWORKS):
        if not waiting:
            return tensors
        prefix, one = waiting.pop()
        for holder in ("_parameters", "_buffers"):
            for name, value in _mapping(one.state.get(holder)).items():
                if isinstance(value, PickledTensor):
                    tensors[f"{prefix}{name}"] = value
        for name, child in _mapping(one.state.get("_modules")).items():
            if isinstance(child, Instance):
                waiting.append((f"{prefix}{name}.", child))
    raise RunError(f"it has more than {_MAX_NETWORKS:,} networks in each other")


def _mapping(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Instance):
        return value.state
    return cast("dict[Any, Any]", value) if isinstance(value, dict) else {}
