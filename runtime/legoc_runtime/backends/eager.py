"""The eager backend: the linked module as it is."""

from __future__ import annotations

from torch import fx

from legoc_runtime.backends.base import Module


class Eager:
    """Runs modules operation by operation."""

    name = "eager"

    def available(self) -> str | None:
        """Always."""
        return None

    def compile(self, module: fx.GraphModule) -> Module:
        """The module itself."""
        return module
