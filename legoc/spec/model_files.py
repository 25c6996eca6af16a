"""What the files of a pretrained model say about it, read without torch and without running anything.

A manifest of legoc, the configurations of a diffusers folder, the header of a safetensors file; and what the pickle of
a `.pt` describes, which is data here. Nothing is run.
Files are opened only if they are regular, and read up to a bound, so that a path in a spec cannot hang or fill a check.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, assert_never, cast

from legoc.spec.dit import NoDitError, dit_stack
from legoc_runtime.contract.manifest import MANIFEST_NAME, manifest_folder, read_manifest
from legoc_runtime.contract.schedule import alphas_cumprod
from legoc_runtime.contract.settings import WEIGHT_FILES, PretrainedSettings
from legoc_runtime.contract.stack import DdpmConstants, Diffusion, EdmConstants, StackShape
from legoc_runtime.errors import LegocError
from legoc_runtime.foreign.containers import read_pickled
from legoc_runtime.foreign.names import TITLES, told_by_names
from legoc_runtime.foreign.state import tensors_in

MAX_JSON_BYTES = 4 * 2**20
MAX_TIMESTEPS = 100_000

_UNET_CLASSES = ("UNet2DModel",)
_DIT_CLASSES = ("DiTTransformer2DModel", "Transformer2DModel")
_SCHEDULER = "scheduler_config.json"


class UnreadableModelError(Exception):
    """A pretrained model's folder does not say what it must; the message says why, `help` what to do."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True)
class ModelFacts:
    """What a pretrained model is.

    Attributes:
        source: the file that says so.
        channels: channels of its images.
        size: height and width of its images; None where any will do.
        classes: its classes beside the null label, or None for an unconditional model.
        predicts: what its output is: `x0`, or a prediction type of diffusers.
        sigmas: the lowest and the highest noise level that it was trained for, as sigma over the clean image.
        levels: the noise level of each of its timesteps, ascending; empty where it takes sigma itself.
        stack: its architecture, where that is a stack.
    """

    source: Path
    channels: int
    size: tuple[int, int] | None
    classes: int | None
    predicts: str
    sigmas: tuple[float, float]
    levels: tuple[float, ...] = ()
    stack: StackShape | None = None


def read_model(settings: PretrainedSettings) -> ModelFacts | None:
    """Read what a model's files say; None for `kind: module`, of which its entry point says it once it is opened.

    Raises:
        UnreadableModelError: the folder or a file in it is missing or is not what the kind says.
    """
    folder = Path(settings.path)
    try:
        if not folder.is_dir() and not (settings.kind == "dit" and folder.is_file()):
            if not folder.exists():
                help = "the path is relative to the current directory"
                raise UnreadableModelError(f"`{folder}` does not exist", help)
            named = "a run or a checkpoint of legoc" if settings.kind == "stack" else "the folder that it is in"
            raise UnreadableModelError(f"`{folder}` is a file, not a folder", f"name {named}")
        match settings.kind:
            case "stack":
                return _stack(folder)
            case "dit":
                return _dit(folder, settings.heads)
            case "module":
                return None
            case "diffusers_unet":
                return _diffusers(folder, "unet", _UNET_CLASSES, "num_class_embeds")
            case "diffusers_dit":
                return _diffusers(folder, "transformer", _DIT_CLASSES, "num_embeds_ada_norm")
            case _:
                assert_never(settings.kind)
    except (OSError, ValueError) as error:
        raise UnreadableModelError(f"`{folder}` cannot be read: {error}") from error


def sigma_range(diffusion: Diffusion) -> tuple[float, float]:
    """The lowest and the highest noise level of a diffusion."""
    match diffusion:
        case EdmConstants():
            return diffusion.sigma_min, diffusion.sigma_max
        case DdpmConstants():
            return _sigmas(alphas_cumprod(diffusion))
        case _:
            assert_never(diffusion)


def _sigmas(signal: Iterable[float]) -> tuple[float, float]:
    """The ends of a chain with these alpha-bars: sigma = sqrt((1 - abar) / abar)."""
    ends = sorted(signal)
    return _sigma(ends[-1]), _sigma(ends[0])


def _sigma(signal: float) -> float:
    """Sigma over the clean image, of an alpha-bar."""
    signal = max(signal, 1e-30)
    return math.sqrt((1 - signal) / signal)


def _stack(folder: Path) -> ModelFacts:
    path = manifest_folder(folder) / MANIFEST_NAME
    if not path.is_file():
        raise UnreadableModelError(f"`{folder}` has no {MANIFEST_NAME}", "name a run or a checkpoint of legoc")
    try:
        shape = read_manifest(path.parent).shape
    except LegocError as error:
        raise UnreadableModelError(error.message, error.help) from error
    sigmas = sigma_range(shape.diffusion)
    return ModelFacts(path, shape.channels, shape.grid, shape.classes, "x0", sigmas, stack=shape)


# diffusers --------------------------------------------------------------------------------------------------------


def _diffusers(folder: Path, part: str, class_names: tuple[str, ...], classes_key: str) -> ModelFacts:
    """A pipeline's folder, or the model's own beside its scheduler's."""
    own = folder / part / "config.json"
    path = own if own.is_file() else folder / "config.json"
    if not path.is_file():
        raise UnreadableModelError(
            f"`{folder}` has neither `{part}/config.json` nor `config.json`", "name the folder of a diffusers pipeline"
        )
    config = _read_json(path)
    name = config.get("_class_name")
    if name not in class_names:
        raise UnreadableModelError(f"{path} is of a {name}, not of a {' or '.join(class_names)}", "check its `kind`")
    channels = _whole(config, "in_channels", path)
    out = config.get("out_channels")
    if out is not None and out not in (channels, 2 * channels):
        raise UnreadableModelError(f"{path}: {channels} channels in and {out} out: this is no denoiser of images")
    classes = None if config.get(classes_key) is None else _whole(config, classes_key, path)
    if part == "unet":
        classes = _unet_classes(config, classes, path)
    predicts, sigmas, levels = _scheduler(folder, path.parent)
    return ModelFacts(path, channels, _sample_size(config, path), classes, predicts, sigmas, levels)


def _unet_classes(config: dict[str, Any], embedded: int | None, path: Path) -> int | None:
    """Its classes beside the null label, for which the last of its embeddings stands."""
    kind = config.get("class_embed_type")
    if kind is not None:
        takes = {"timestep": "a number", "identity": "a vector"}.get(str(kind), "something")
        raise UnreadableModelError(
            f"{path}: its `class_embed_type` is `{kind!s:.40}`: it takes {takes} in place of a label",
            "open it by an entry point of your own that makes that of labels (`kind: module`)",
        )
    if embedded == 1:
        raise UnreadableModelError(f"{path}: it embeds one label, which cannot be a class and the null label")
    return None if embedded is None else embedded - 1


def _sample_size(config: dict[str, Any], path: Path) -> tuple[int, int] | None:
    match config.get("sample_size"):
        case None:
            return None
        case int(side):
            return side, side
        case [int(height), int(width)]:
            return height, width
        case _:
            raise UnreadableModelError(f"{path}: `sample_size` is neither a number nor [height, width]")


def _scheduler(folder: Path, model: Path) -> tuple[str, tuple[float, float], tuple[float, ...]]:
    """What the network predicts, the noise levels that it was trained for, from where to where and each of them."""
    candidates = (folder / "scheduler" / _SCHEDULER, model.parent / "scheduler" / _SCHEDULER, folder / _SCHEDULER)
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise UnreadableModelError(
            f"`{folder}` has no scheduler/{_SCHEDULER}, which says what the model predicts and at which noise levels",
            "save the whole pipeline, or put the scheduler's folder beside the model's",
        )
    config = _read_json(path)
    if "FlowMatch" in str(config.get("_class_name")):
        return "flow", (0.0, math.inf), ()
    signal = _alphas_cumprod(config, path)
    return str(config.get("prediction_type", "epsilon")), _sigmas(signal), tuple(map(_sigma, signal))


def _alphas_cumprod(config: dict[str, Any], path: Path) -> list[float]:
    """Alpha-bars of a diffusers scheduler; what is absent has the default of its DDPMScheduler."""
    given = config.get("trained_betas")
    steps = len(cast("list[object]", given)) if isinstance(given, list) else config.get("num_train_timesteps", 1000)
    start, end = config.get("beta_start", 1e-4), config.get("beta_end", 0.02)
    if type(steps) is not int or not 2 <= steps <= MAX_TIMESTEPS:
        raise UnreadableModelError(f"{path}: `num_train_timesteps` is no sensible number: {steps!r:.40}")
    if isinstance(given, list):
        betas = cast("list[object]", given)
    elif not (isinstance(start, int | float) and isinstance(end, int | float) and 0 < start <= end < 1):
        raise UnreadableModelError(f"{path}: `beta_start` and `beta_end` are no betas")
    else:
        betas = _betas(str(config.get("beta_schedule", "linear")), steps, start, end, path)
    signal, found = 1.0, list[float]()
    for beta in betas:
        if not isinstance(beta, int | float) or not 0 < beta < 1:
            raise UnreadableModelError(f"{path}: its betas do not all lie between 0 and 1")
        signal *= 1 - beta
        found.append(signal)
    return found


def _betas(schedule: str, steps: int, start: float, end: float, path: Path) -> list[float]:
    """The schedules by their diffusers names; the cosine is Nichol and Dhariwal 2021, Eq. 17."""
    share = [t / (steps - 1) for t in range(steps)]
    match schedule:
        case "linear":
            return [start + (end - start) * s for s in share]
        case "scaled_linear":
            return [(math.sqrt(start) + (math.sqrt(end) - math.sqrt(start)) * s) ** 2 for s in share]
        case "squaredcos_cap_v2":
            signal = [math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(steps + 1)]
            return [min(1 - after / before, 0.999) for before, after in pairwise(signal)]
        case _:
            raise UnreadableModelError(f"{path}: the beta schedule `{schedule}` is not known")


# DiT --------------------------------------------------------------------------------------------------------------


def _dit(path: Path, heads: int | None) -> ModelFacts:
    """DiT's weights by the names of its public code; shapes tell all but the heads. Its chain is DDPM's."""
    file = _dit_file(path)
    try:
        stack = dit_stack(_dit_shapes(file), heads)
    except NoDitError as error:
        raise UnreadableModelError(f"{file}: {error}", error.help) from error
    levels = tuple(map(_sigma, alphas_cumprod(DdpmConstants())))
    return ModelFacts(
        file, stack.channels, stack.grid, stack.classes, "epsilon", sigma_range(stack.diffusion), levels, stack
    )


def _dit_file(path: Path) -> Path:
    """The file itself, or the one in a folder."""
    if path.is_file():
        return path
    files = [file for ending in WEIGHT_FILES for file in path.glob(f"*{ending}") if file.is_file()]
    if len(files) != 1:
        some = f"{len(files)} files" if files else "no file"
        raise UnreadableModelError(
            f"`{path}` has {some} of weights ({', '.join(WEIGHT_FILES)})", "name the file of the weights itself"
        )
    return files[0]


def _dit_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of its tensors, without a common prefix; a pickle is read as data."""
    if file.suffix == ".safetensors":
        shapes = {name: shape for name, entry in _safetensors_header(file).items() if (shape := _shape(entry))}
    else:
        try:
            shapes = {name: tensor.shape for name, tensor in tensors_in(read_pickled(file)[0])[0].items()}
        except LegocError as error:
            raise UnreadableModelError(error.message, error.help) from error
    told = told_by_names(shapes)
    if told is None or told[0] != "dit":
        whose = "" if told is None else f", but those of {TITLES[told[0]]}"
        raise UnreadableModelError(f"{file} does not have the names of {TITLES['dit']}{whose}", "check its `kind`")
    return told[1]


def _safetensors_header(path: Path) -> dict[str, Any]:
    """The header: eight bytes of length, little-endian, then JSON."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > MAX_JSON_BYTES:
            raise UnreadableModelError(f"{path} is not a safetensors file")
        return _parse(stream.read(length), path)


def _shape(entry: object) -> tuple[int, ...]:
    """The shape that a header gives a tensor; empty for what is none."""
    found = cast("dict[str, object]", entry).get("shape") if isinstance(entry, dict) else None
    sides = cast("list[object]", found) if isinstance(found, list) else []
    return tuple(side for side in sides if type(side) is int) if all(type(side) is int for side in sides) else ()


# JSON -------------------------------------------------------------------------------------------------------------


def _read_json(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        data = stream.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise UnreadableModelError(f"{path} is too large for a configuration")
    return _parse(data, path)


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnreadableModelError(f"{path} is not a JSON object")
    return cast("dict[str, Any]", found)


def _whole(config: dict[str, Any], key: str, path: Path) -> int:
    value: object = config.get(key)
    if type(value) is not int or value < 1:
        raise UnreadableModelError(f"{path}: `{key}` is no whole number: {value!r:.40}")
    return value
