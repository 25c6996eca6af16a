"""What a backend is, which there are, and how `auto` chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from torch import fx

from legoc_runtime.errors import UsageError

Module = Callable[..., Any]


class Backend(Protocol):
    """Turns linked modules into callables.

    Attributes:
        name: how it is asked for.
    """

    name: str

    def available(self) -> str | None:
        """None when it can run here, else the reason why not."""
        ...

    def compile(self, module: fx.GraphModule, *, training: bool = False) -> Module:
        """A callable with the arguments and results of `module`, over the same weights.

        Args:
            module: a linked program.
            training: whether it is differentiated.
        """
        ...


@dataclass(frozen=True)
class Choice:
    """A backend and, when `auto` chose it, why."""

    backend: Backend
    reason: str | None


BACKENDS: dict[str, str] = {
    "eager": "legoc_runtime.backends.eager:Eager",
    "inductor": "legoc_runtime.backends.inductor:Inductor",
}
"""Name -> where its class is; imported when asked for."""


def choose_backend(name: str) -> Choice:
    """A backend by name; `auto` takes inductor where it can run, else eager, and says why.

    Raises:
        UsageError: there is no such backend, or it cannot run here.
    """
    if name == "auto":
        inductor = _make("inductor")
        reason = inductor.available()
        if reason is None:
            return Choice(inductor, "inductor: a compiler is at hand")
        return Choice(_make("eager"), f"eager: inductor cannot run, {reason}")
    if name not in BACKENDS:
        raise UsageError(f"there is no backend `{name}`", help=f"choose one of auto, {', '.join(BACKENDS)}")
    backend = _make(name)
    if reason := backend.available():
        raise UsageError(f"backend `{name}` cannot run here: {reason}", help="--backend auto takes one that can")
    return Choice(backend, None)


def _make(name: str) -> Backend:
    module, _, attribute = BACKENDS[name].partition(":")
    return getattr(import_module(module), attribute)()
