"""A Transformer block of our own for CPUs with AVX-512, and whether it can run here. Compiled at its first call.

takes: tokens and modulation on the CPU, float32; the leaves of a block
gives: one operation, which `torch.compile` and profilers see; it has no derivative
may import: torch, inductor's way to a C++ compiler
"""

from __future__ import annotations

import platform

import torch


def avx512_lack() -> str | None:
    """None where the block can run, given a C++ compiler; else what is missing.

    What PyTorch itself may use counts: `ATEN_CPU_CAPABILITY=avx2` in the environment leaves AVX-512 alone.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return f"this is {platform.system()} on {platform.machine()}, not Linux on x86_64"
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return "the processor has no AVX-512, or PyTorch was told to leave it alone"
    return None
