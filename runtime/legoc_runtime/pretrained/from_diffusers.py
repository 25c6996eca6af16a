"""A model of diffusers from a local folder, loaded by diffusers itself: UNet2DModel, DiTTransformer2DModel.

Nothing is fetched, no pickle is read, and no code comes from the folder. diffusers is imported when a model is opened.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast, get_args

from torch import Tensor, nn

from legoc_runtime.contract.stack import PretrainedShape
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.layers.pretrained import PretrainedNetwork

DiffusersKind = Literal["diffusers_unet", "diffusers_dit"]
CONFIG_NAME = "config.json"

_CLASSES: dict[DiffusersKind, tuple[str, str]] = {
    "diffusers_unet": ("unet", "UNet2DModel"),
    "diffusers_dit": ("transformer", "DiTTransformer2DModel"),
}
"""The model's part of a pipeline's folder, and its class."""


def files(shape: PretrainedShape) -> list[str]:
    """The model's configuration and its safetensors files, from the spec's folder.

    Raises:
        UsageError: it has no such weights.
    """
    folder, model = Path(shape.path), _folder(shape)
    weights = sorted(model.glob("*.safetensors"))
    if not weights:
        raise UsageError(
            f"{model} holds no weights (.safetensors)",
            help="save the model again with `save_pretrained`: legoc reads no pickles",
        )
    return [path.relative_to(folder).as_posix() for path in (model / CONFIG_NAME, *weights)]


def opened(shape: PretrainedShape) -> PretrainedNetwork:
    """The model with its weights.

    Raises:
        UsageError: diffusers is not installed.
        RunError: the model cannot be loaded, or not all of it.
    """
    _, name = _CLASSES[_kind(shape)]
    folder = _folder(shape)
    try:
        kind: Any = getattr(import_module("diffusers"), name)
    except ImportError as error:
        raise UsageError(
            f"brick `{shape.id}` is a model of diffusers, which cannot be imported: {error}",
            help="pip install 'legoc[diffusers]'",
        ) from error
    try:
        model, told = kind.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            low_cpu_mem_usage=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise RunError(f"{folder} cannot be loaded as a {name}: {error}", help="save the model again") from error
    faults = [*told["missing_keys"], *told["unexpected_keys"], *told["mismatched_keys"]]
    if faults:
        raise RunError(
            f"the weights in {folder} are not those of its {CONFIG_NAME}: {faults[0]} and {len(faults) - 1} more",
            help="save the model again",
        )
    return _Model(cast("nn.Module", model))


def _kind(shape: PretrainedShape) -> DiffusersKind:
    assert shape.kind in get_args(DiffusersKind)
    return cast("DiffusersKind", shape.kind)


def _folder(shape: PretrainedShape) -> Path:
    """The model's own: within a pipeline's, or the spec's."""
    folder, (part, _) = Path(shape.path), _CLASSES[_kind(shape)]
    return folder / part if (folder / part / CONFIG_NAME).is_file() else folder


class _Model(PretrainedNetwork):
    """The model, called as diffusers' pipelines call it. The last label of a UNet with classes is the null label."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The model's own names."""
        return dict(self.model.named_parameters())

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None) -> Tensor:
        """Its prediction [N, C, H, W] in the type of its weights; a learned variance is left out."""
        dtype = next(self.model.parameters()).dtype
        (found,) = self.model(x.to(dtype), timestep=level.to(dtype), class_labels=labels, return_dict=False)
        return cast("Tensor", found)[:, : x.shape[1]]
