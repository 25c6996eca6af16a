"""Which form of the tanh GELU runs where: one rule, read by the backends and printed by the plan."""

from __future__ import annotations

from typing import Literal

from legoc_runtime.contract.attention_rule import Device

GeluForm = Literal["call", "sigmoid", "epilogue"]
"""How the tanh GELU of an MLP is computed; all forms are the same function within rounding.

`call`: PyTorch's operation. `sigmoid`: through one exponential. `epilogue`: in the matrix product before it, one
cuBLASLt call; CUDA, without a derivative.
"""


def gelu_form(*, device: Device, fused: bool, training: bool = False, python_ops: bool = True) -> GeluForm:
    """The form of an MLP's GELU.

    Args:
        device: where it runs.
        fused: whether a compiler fuses element-wise operations.
        training: whether a backward pass follows.
        python_ops: whether operations that are defined in Python can be called; an AOTInductor package runs without.
    """
    return _choose(device, fused, training, python_ops)[0]


def why_gelu(*, device: Device, fused: bool, training: bool = False, python_ops: bool = True) -> str:
    """The same choice as one sentence, for the plan of a build."""
    form, reason = _choose(device, fused, training, python_ops)
    return f"{form}: {reason}"


def _choose(device: Device, fused: bool, training: bool, python_ops: bool) -> tuple[GeluForm, str]:
    match device:
        case "cpu" if fused:
            return "sigmoid", "the compiler's tanh costs more than its exponential on a CPU"
        case "cpu":
            return "call", "PyTorch's own kernel is one pass over memory"
        case "cuda" if training:
            return "call", "the matrix product's epilogue has no derivative"
        case "cuda" if not python_ops:
            return "call", "the epilogue is an operation in Python, and a package runs without"
        case "cuda":
            return "epilogue", "the matrix product writes the activated values itself"
