"""Where the reference figures are."""

from pathlib import Path

from safetensors import torch as safetensors
from torch import Tensor

REFERENCE = Path(__file__).parent / "reference"


def reference(name: str) -> dict[str, Tensor]:
    """The tensors of one file of figures."""
    path = REFERENCE / f"{name}.safetensors"
    return safetensors.load_file(path)  # pyright: ignore[reportUnknownMemberType]
