"""A user's own model, opened by an entry point of an installed package.

Nothing that a spec or build names is imported but by the name under which an installed package gives it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from pathlib import Path
from typing import cast, get_args

from torch import Tensor, nn

from legoc_runtime.contract.stack import Prediction, PretrainedShape
from legoc_runtime.errors import UsageError
from legoc_runtime.layers.pretrained import PretrainedNetwork
from legoc_runtime.pretrained.model import GROUP, PretrainedModel


def files(shape: PretrainedShape) -> list[str]:
    """Every file in the folder but hidden ones, by name."""
    folder = Path(shape.path)
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))


def opened(shape: PretrainedShape) -> tuple[PretrainedNetwork, PretrainedShape]:
    """What the entry point makes of the folder, and the shape with what it says of itself.

    Raises:
        UsageError: there is no such entry point, or what it gives is not a model.
    """
    model = _function(shape)(Path(shape.path))
    if not isinstance(model, PretrainedModel):
        raise UsageError(
            f"the entry point `{shape.name}` gives a {type(model).__name__}",
            help="it must give a legoc_runtime.pretrained.PretrainedModel",
        )
    if model.predicts not in get_args(Prediction):
        raise UsageError(
            f"the entry point `{shape.name}` predicts `{model.predicts}`",
            help=f"it must be one of {', '.join(get_args(Prediction))}",
        )
    sigmas = tuple(float(sigma) for sigma in model.sigmas)
    rises = all(low < high for low, high in pairwise(sigmas))
    if sigmas and not (len(sigmas) > 1 and sigmas[0] > 0 and rises and math.isfinite(sigmas[-1])):
        raise UsageError(
            f"the noise levels of the entry point `{shape.name}` are not two or more that rise from above 0",
            help="give the sigma of every timestep, in order, or none",
        )
    said = replace(shape, predicts=model.predicts, sigmas=sigmas, classes=model.classes)
    return _Module(model.network), said


def _function(shape: PretrainedShape) -> Callable[[Path], object]:
    found = [point for point in entry_points(group=GROUP) if point.name == shape.name]
    if len(found) != 1:
        what = "no installed package has" if not found else f"{len(found)} installed packages have"
        known = sorted({point.name for point in entry_points(group=GROUP)})
        raise UsageError(
            f"{what} an entry point `{shape.name}` in the group `{GROUP}`, which opens brick `{shape.id}`",
            help=f"there are {', '.join(known)}" if known else "install the package that opens the model",
        )
    return cast("Callable[[Path], object]", _loaded(found[0]))


def _loaded(point: EntryPoint) -> object:
    try:
        return cast("object", point.load())
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the entry point `{point.name}` cannot be loaded: {error}", help=f"it is {point.value}"
        ) from error


class _Module(PretrainedNetwork):
    """The module as it is."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The module's own names."""
        return dict(self.network.named_parameters())

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None) -> Tensor:
        """Its prediction; it computes in the type of its weights."""
        weight = next(self.network.parameters(), None)
        dtype = x.dtype if weight is None else weight.dtype
        return cast("Tensor", self.network(x.to(dtype), level.to(dtype), labels))
