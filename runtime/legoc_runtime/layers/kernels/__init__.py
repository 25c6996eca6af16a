"""Kernels of our own, and whether they can run here. They are imported where they can run, and nowhere else.

takes: CUDA tensors
gives: operations that compile and export see
may import: torch, Triton
"""

from __future__ import annotations

from importlib.util import find_spec

import torch


def kernels_lack() -> str | None:
    """None where the kernels can be compiled, else what is missing. Touches no device."""
    if getattr(torch.version, "cuda", None) is None:
        return "this PyTorch is built without CUDA"
    if find_spec("triton") is None:
        return "Triton is not installed"
    return None
