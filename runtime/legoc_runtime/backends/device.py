"""Where and in which type a stack runs, by the words of the command line."""

from __future__ import annotations

import torch

from legoc_runtime.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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


def choose_dtype(name: str) -> torch.dtype:
    """The type named `float32`, `bf16` or `fp16`.

    Raises:
        UsageError: there is no such name.
    """
    if name not in DTYPES:
        raise UsageError(f"there is no dtype `{name}`", help=f"choose one of {', '.join(DTYPES)}")
    return DTYPES[name]
