"""The machine as native code sees it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import torch

from legoc_runtime.contract.native import Environment

_torch: Any = torch  # torch.cpu is only partly typed

INSTRUCTIONS = ("amx", "avx", "bmi", "f16c", "fma", "sse4")
"""How the names of the extensions begin that a compiler uses when it is told to compile for this machine."""


def environment(device: torch.device, packages: Sequence[str] = ()) -> Environment:
    """Where code for a device would run now.

    Args:
        device: `cpu` or a CUDA device.
        packages: distributions whose versions matter too.
    """
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        kind, instructions = f"cuda sm_{major}{minor}", ()
    else:
        known = cast("Mapping[str, object]", _torch.cpu.get_capabilities())
        kind = device.type
        instructions = tuple(
            sorted(name for name, has in known.items() if has is True and name.startswith(INSTRUCTIONS))
        )
    return Environment(
        torch=str(torch.__version__),
        system=f"{platform.system()} {platform.machine()}",
        device=kind,
        instructions=instructions,
        packages=tuple(sorted(f"{name} {_version(name)}" for name in packages)),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
