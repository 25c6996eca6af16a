"""legoc's runtime: trains, loads and samples built stacks.

`import legoc_runtime` and everything under `legoc_runtime.contract` stay free of torch; the names below import it on
first use.

    stack = legoc_runtime.load("runs/emoji")                  # a run, a build with weights=..., or a checkpoint's run
    estimate = stack(x, sigma, labels, configuration=("windows", "parts"))
"""

from __future__ import annotations

from importlib import import_module

from legoc_runtime.errors import LegocError, RunError, UsageError

TYPE_CHECKING = False  # typing's own costs more to import than `legoc --help` takes
if TYPE_CHECKING:
    from legoc_runtime.interop.diffusers_pipeline import DiffusersStack as DiffusersStack
    from legoc_runtime.stack import BrickStack as BrickStack
    from legoc_runtime.stack import TrainingStack as TrainingStack
    from legoc_runtime.stack import load as load

__all__ = ["BrickStack", "DiffusersStack", "LegocError", "RunError", "TrainingStack", "UsageError", "load"]

_STACK = "legoc_runtime.stack"
_LAZY = {
    "BrickStack": _STACK,
    "DiffusersStack": "legoc_runtime.interop.diffusers_pipeline",  # pipelines name their parts by package and class
    "TrainingStack": _STACK,
    "load": _STACK,
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
