"""The folder that `legoc export` writes: what lies where.

    FOLDER/
        model_index.json                            the pipeline and its parts, as diffusers has it
        scheduler/scheduler_config.json             the scheduler of diffusers that samples as the spec does, or nearest
        stack/config.json                           what the stack is, for other programs
        stack/manifest.json, spec.yaml              the build
        stack/diffusion_pytorch_model.safetensors   the weights, with the resolved spec in the header
        README.md                                   a model card

takes: an exported folder
gives: its manifest and weights
"""

from __future__ import annotations

from pathlib import Path

from legoc_runtime.checkpoint import WeightsFile, find_weights
from legoc_runtime.contract.manifest import Manifest, read_manifest
from legoc_runtime.errors import RunError, UsageError

INDEX_NAME = "model_index.json"
STACK_FOLDER = "stack"
CONFIG_NAME = "config.json"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
SCHEDULER_FOLDER = "scheduler"
SCHEDULER_NAME = "scheduler_config.json"
CARD_NAME = "README.md"
FORMAT_VERSION = 1
"""Version of the folder's layout; stands in `stack/config.json`."""


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
        raise UsageError(f"{folder} is no folder of `legoc export`: it has no {STACK_FOLDER}/{WEIGHTS_NAME}")
    manifest, weights = read_manifest(stack), find_weights(stack / WEIGHTS_NAME)
    if weights.spec_hash != manifest.spec_hash:
        raise RunError(f"{stack}: the weights are of another spec than the manifest", help="export the run again")
    return manifest, weights
