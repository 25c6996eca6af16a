"""Inception's features, as torch-fidelity computes them: the ones that FID is defined on.

Nothing of it is needed for other extractors. torch-fidelity is imported here and only here; its weights are never
downloaded.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.evaluation.extractor import INCEPTION, Features

WEIGHTS_NAME = "weights-inception-2015-12-05-6726825d.pth"
WEIGHTS_SHA256 = "6726825d"
"""How the SHA-256 of the published file begins; its name says so."""

WEIGHTS_FROM = "github.com/toshas/torch-fidelity, release v0.2.0"
DIMENSIONS = 2048
SPATIAL_CHANNELS = 7
"""ADM's sFID takes the first seven channels of the first branch of the block that TensorFlow calls `mixed_6`."""

_OTHERWISE = "`--features emoji` needs nothing, but its numbers are no FID and compare with nobody else's"


@dataclass(frozen=True, slots=True)
class InceptionExtractor:
    """torch-fidelity's Inception v3 with the weights of 2015, as an `Extractor`.

    Attributes:
        fingerprint: SHA-256 of the weights, and the version of torch-fidelity.
        network: torch-fidelity's module.
        branch: what its first branch of `Mixed_6d` gave last.
        device: where it runs.
    """

    fingerprint: str
    network: nn.Module
    branch: list[Tensor]
    device: torch.device

    @property
    def name(self) -> str:
        """`inception`: the one extractor whose numbers are called FID, sFID, KID and Inception Score."""
        return INCEPTION

    @property
    def dimensions(self) -> int:
        """Features of a picture."""
        return DIMENSIONS

    def describe(self) -> str:
        """A line for people."""
        return f"{INCEPTION}, torch-fidelity's Inception v3 of 2015-12-05, {DIMENSIONS} features at 299x299"

    def __call__(self, images: Tensor) -> Features:
        """Features of pictures uint8 [N,3,H,W], on the CPU; logits are those without bias, as in ADM."""
        with torch.inference_mode():
            pooled, logits = self.network(images.to(self.device))
        # [N,7,17,17] as [N, 17*17*7]: TensorFlow keeps channels last
        spatial = self.branch.pop()[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        return Features(pooled.float(), spatial.float(), logits.float()).cpu()


def load_inception(weights: Path | None, device: torch.device) -> InceptionExtractor:
    """Inception with weights from disk.

    Args:
        weights: the published file; None looks in PyTorch's folder for downloads.
        device: where it is to run.

    Raises:
        UsageError: the weights or the package are not there; the message says which, and what to do.
        RunError: the file is another one, or cannot be read.
    """
    path = weights or Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_NAME
    if not path.is_file():
        raise UsageError(
            f"--features inception: there are no weights at {path}",
            help=f"get {WEIGHTS_NAME} ({WEIGHTS_FROM}) and give its path to --inception-weights; {_OTHERWISE}",
        )
    digest = _sha256(path)
    if not digest.startswith(WEIGHTS_SHA256):
        raise RunError(
            f"{path} is not the published {WEIGHTS_NAME}: its SHA-256 begins with {digest[:8]}",
            help="FID is defined on these weights alone: get the file again",
        )
    package = _torch_fidelity()
    try:
        with _no_code_from_pickles():
            network: nn.Module = package.FeatureExtractorInceptionV3(
                INCEPTION, ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
            )
    except Exception as error:  # whatever torch-fidelity and its unpickler raise
        raise RunError(f"torch-fidelity cannot read {path}: {_first_line(error)}", help="get the file again") from error
    branch: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        branch[:] = [output]

    network.get_submodule("Mixed_6d.branch1x1").register_forward_hook(keep)
    network.eval().to(device)
    return InceptionExtractor(f"{digest} torch-fidelity {package.__version__}", network, branch, device)


def _torch_fidelity() -> Any:
    try:
        return importlib.import_module("torch_fidelity")
    except Exception as error:  # beside a torch of another build, torchvision dies with errors of many kinds
        raise UsageError(
            f"--features inception: torch-fidelity cannot be imported ({_first_line(error)})",
            help=f"install torch-fidelity, and the torchvision that belongs to your torch; {_OTHERWISE}",
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _no_code_from_pickles() -> Generator[None]:
    """PyTorch reads tensors only, whatever its caller asks for: torch-fidelity asks for a whole pickle."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
