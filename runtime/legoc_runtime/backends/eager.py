"""The eager backend: the linked module as it is, with the kernels that need no compiler."""

from __future__ import annotations

from torch import fx

from legoc_runtime.backends.base import Module
from legoc_runtime.backends.regions import Forms, with_forms


class Eager:
    """Runs modules operation by operation."""

    name = "eager"

    def available(self) -> str | None:
        """Always."""
        return None

    def compile(self, module: fx.GraphModule, *, training: bool = False) -> Module:
        """The module with the forms that pay without fusion."""
        return with_forms(module, Forms(fused=False, training=training))
