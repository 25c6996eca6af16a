"""Weights by the names of other code, and stacks in folders as diffusers and the Hugging Face Hub lay them out.

    pipeline = LegoPipeline.from_pretrained("exported")        # a folder that `legoc export` wrote
    pictures = pipeline(seeds="0-3", skip_policy="halfway").images

takes: tensors by foreign names; exported folders
gives: weights of a StackShape; LegoPipeline
may import: every room of the runtime; huggingface_hub in `hub.py` and diffusers in
    `diffusers_pipeline.py` alone, which nothing imports unasked
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # torch is imported with the first use of a name
if TYPE_CHECKING:
    from legoc_runtime.interop.diffusers_pipeline import LegoDiffusionPipeline as LegoDiffusionPipeline
    from legoc_runtime.interop.hub import HubPipeline as HubPipeline
    from legoc_runtime.interop.pipeline import LegoPipeline as LegoPipeline
    from legoc_runtime.interop.pipeline import Pictures as Pictures

__all__ = ["HubPipeline", "LegoDiffusionPipeline", "LegoPipeline", "Pictures"]

_LAZY = {
    "HubPipeline": "legoc_runtime.interop.hub",
    "LegoDiffusionPipeline": "legoc_runtime.interop.diffusers_pipeline",
    "LegoPipeline": "legoc_runtime.interop.pipeline",
    "Pictures": "legoc_runtime.interop.pipeline",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
