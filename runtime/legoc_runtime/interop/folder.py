"""The folder that `legoc export` writes: what lies where, read and written.

    FOLDER/
        model_index.json                            the pipeline and its parts, as diffusers has it
        config.json                                 what the stack is, for other programs and the Hub
        scheduler/scheduler_config.json             a scheduler of diffusers whose model the stack can be
        stack/manifest.json, spec.yaml              the build
        stack/diffusion_pytorch_model.safetensors   the weights, with the resolved spec in the header
        vae/                                        the VAE of a stack over latents, where one was given
        README.md                                   a model card

takes: a manifest and weights; an exported folder
gives: an exported folder; its manifest and weights
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from legoc_runtime.checkpoint import WeightsFile, find_weights, tensorfile
from legoc_runtime.contract.manifest import MANIFEST_NAME, SPEC_NAME, Manifest, read_manifest
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants, weight_shapes
from legoc_runtime.errors import RunError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

INDEX_NAME = "model_index.json"
CONFIG_NAME = "config.json"
STACK_FOLDER = "stack"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
SCHEDULER_FOLDER = "scheduler"
SCHEDULER_NAME = "scheduler_config.json"
CARD_NAME = "README.md"
VAE_FOLDER = "vae"
FORMAT_VERSION = 1
"""Version of the folder's layout; stands in `config.json`."""


def exported_weights(folder: Path) -> Path | None:
    """The weights of a folder that `legoc export` wrote, or of the `stack` in it; None for any other folder."""
    named = (place / WEIGHTS_NAME for place in (folder / STACK_FOLDER, folder))
    return next((path for path in named if path.is_file() and (path.parent / MANIFEST_NAME).is_file()), None)


def exported_vae(folder: Path) -> Path | None:
    """The VAE of an exported folder, or of the one that a `stack` lies in; None where it has none."""
    places = (place / VAE_FOLDER for place in (folder, folder.resolve().parent) if (place / INDEX_NAME).is_file())
    return next((path for path in places if path.is_dir()), None)


def read_folder(folder: Path) -> tuple[Manifest, WeightsFile]:
    """The build and the weights of an exported folder.

    Args:
        folder: the folder, or the `stack` in it.

    Raises:
        UsageError: it is none.
        RunError: it is damaged, or its weights are of another spec.
    """
    stack = folder / STACK_FOLDER if (folder / STACK_FOLDER).is_dir() else folder
    if not (stack / WEIGHTS_NAME).is_file():
        raise UsageError(
            f"{folder} is no folder of `legoc export`: it has no {STACK_FOLDER}/{WEIGHTS_NAME}",
            help="give a folder that `legoc export` wrote",
        )
    manifest, weights = read_manifest(stack), find_weights(stack / WEIGHTS_NAME)
    if weights.spec_hash != manifest.spec_hash:
        raise RunError(f"{stack}: the weights are of another spec than the manifest", help="export the run again")
    return manifest, weights


def check_whole(manifest: Manifest) -> None:
    """Refuse a stack whose weights are not all its own.

    Raises:
        UsageError: it stands on a pretrained brick, whose files are elsewhere.
    """
    if manifest.shape.pretrained is not None:
        raise UsageError(
            f"brick `{manifest.shape.pretrained.id}` of `{manifest.name}` is a pretrained model, whose files an export "
            "does not hold",
            help="sample from the run itself, where the model is",
        )


def check_free(out: Path) -> None:
    """Refuse a place that is taken.

    Raises:
        UsageError: something is there.
    """
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already", help="choose another folder; an export never writes over anything")


def write_folder(
    manifest: Manifest, weights: WeightsFile, tensors: Mapping[str, Tensor], out: Path, vae: Path | None = None
) -> None:
    """Write a folder, whole or not at all.

    Args:
        manifest: the build.
        weights: the file that the tensors come from; its header goes along.
        tensors: every weight by its key.
        out: where; nothing is there, or an empty directory.
        vae: folder of the VAE that goes along; None for none.

    Raises:
        UsageError: `out` is taken.
        RunError: the disk does not take it; nothing is left of it then.
    """
    check_whole(manifest)
    if not (out.is_dir() and not any(out.iterdir())):
        check_free(out)
    draft = out.with_name(f".writing-{os.getpid()}-{out.name}")
    try:
        (draft / SCHEDULER_FOLDER).mkdir(parents=True)
        _stack(manifest, weights, tensors, draft / STACK_FOLDER)
        _json(draft / CONFIG_NAME, config(manifest))
        _json(draft / INDEX_NAME, index(manifest, vae=vae is not None))
        if vae is not None:
            from legoc_runtime.vae import vae_files

            (draft / VAE_FOLDER).mkdir()
            for file in vae_files(vae):
                shutil.copyfile(file, draft / VAE_FOLDER / file.name)
        _json(draft / SCHEDULER_FOLDER / SCHEDULER_NAME, scheduler(manifest))
        _text(draft / CARD_NAME, card(manifest, weights))
        if out.is_dir():
            out.rmdir()
        draft.rename(out)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{out} cannot be written: {tensorfile.reason(error)}", help="choose another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_stack(manifest: Manifest, weights: WeightsFile, tensors: Mapping[str, Tensor], out: Path) -> None:
    """Write the `stack` of a folder alone, into a directory that may be there; arguments as of `write_folder`.

    Raises:
        RunError: the disk does not take it.
    """
    check_whole(manifest)
    try:
        _stack(manifest, weights, tensors, out)
        _json(out / CONFIG_NAME, config(manifest))
    except (OSError, SafetensorError) as error:
        raise RunError(f"{out} cannot be written: {tensorfile.reason(error)}", help="choose another folder") from error


def _stack(manifest: Manifest, weights: WeightsFile, tensors: Mapping[str, Tensor], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    _text(out / MANIFEST_NAME, manifest.to_json())
    _text(out / SPEC_NAME, weights.spec_text)
    tensorfile.save(out / WEIGHTS_NAME, tensors, tensorfile.metadata(weights.path))
    # safetensors makes files that only their owner reads
    (out / WEIGHTS_NAME).chmod(out.stat().st_mode & 0o666)


def config(manifest: Manifest) -> dict[str, Any]:
    """What the stack is, for programs that do not read manifests."""
    shape = manifest.shape
    return {
        "_class_name": "LegoPipeline",
        "legoc_folder": FORMAT_VERSION,
        "legoc_version": manifest.legoc_version,
        "name": manifest.name,
        "spec_hash": manifest.spec_hash,
        "channels": shape.channels,
        "height": shape.grid[0],
        "width": shape.grid[1],
        "classes": shape.classes,
        "diffusion": shape.diffusion.kind,
        "bricks": list(shape.ids),
        "parameters": sum(prod(sides) for sides in weight_shapes(shape).values()),
    }


def index(manifest: Manifest, *, vae: bool = False) -> dict[str, Any]:
    """`model_index.json`: the pipeline, and for each of its folders a library and a class."""
    return {
        "_class_name": "LegoDiffusionPipeline",
        "_legoc_version": manifest.legoc_version,
        "stack": ["legoc_runtime", "DiffusersStack"],
        "scheduler": ["diffusers", str(scheduler(manifest)["_class_name"])],
        **({"vae": ["diffusers", "AutoencoderKL"]} if vae else {}),
    }


def scheduler(manifest: Manifest) -> dict[str, Any]:
    """A scheduler of diffusers that asks for the estimate of the clean image, which is what a stack gives."""
    match manifest.shape.diffusion:
        case EdmConstants():
            return {"_class_name": "EulerDiscreteScheduler", "prediction_type": "sample"}
        case DdpmConstants() as chain:
            return {
                "_class_name": "DDIMScheduler",
                "num_train_timesteps": chain.steps,
                "beta_start": chain.beta_start,
                "beta_end": chain.beta_end,
                "beta_schedule": "linear",
                "prediction_type": "sample",
                "clip_sample": False,
                "set_alpha_to_one": True,
            }


def card(manifest: Manifest, weights: WeightsFile) -> str:
    """A model card that says what is known, and how to load the folder."""
    shape = manifest.shape
    labels = "unconditional" if shape.classes is None else f"{shape.classes:,} classes"
    origin = json.loads(tensorfile.metadata(weights.path).get("legoc.imported_from", "{}"))
    made = (
        f"imported from `{Path(origin['path']).name}`"
        if origin
        else f"trained on {weights.images:,} images ({weights.kind})"
    )
    return f"""---
library_name: legoc
tags: [diffusion, legoc]
---

# {manifest.name}

{manifest.description or "A stack of LEGO bricks."}

{len(shape.ids)} brick(s) ({", ".join(shape.ids)}), {shape.grid[0]}x{shape.grid[1]}x{shape.channels}, {labels},
diffusion {shape.diffusion.kind}; {made}. What it was trained on, and under which licence, is to be said here.

```python
from legoc_runtime.interop import LegoPipeline

pipeline = LegoPipeline.from_pretrained("THIS FOLDER")
pictures = pipeline(seeds="0-15").images
```
"""


def _json(path: Path, body: Mapping[str, Any]) -> None:
    _text(path, json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
