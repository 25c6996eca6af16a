"""Where a stack runs, by the words of the command line."""

from __future__ import annotations

import torch

from legoc_runtime.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str) -> torch.device:
    """The device named `auto`, `cpu` or `cuda`; `auto` takes CUDA where there is a device for it.

    Raises:
        UsageError: there is no such name, or no such device here.
    """
    if name not in DEVICES:
        raise UsageError(f"there is no device `{name}`", help=f"choose one of {', '.join(DEVICES)}")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here, or this PyTorch is built without CUDA", help="--device cpu")
    return torch.device("cuda", torch.cuda.current_device())
