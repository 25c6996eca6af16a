"""What a backend is, which there are, and how `auto` chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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


BACKENDS = ("eager", "inductor", "aoti", "tensorrt")
NATIVE_BACKENDS = ("aoti", "tensorrt")
"""Those that can run native code out of a build."""


def choose_backend(name: str, *, build: Path | None = None, trust_native: bool = False) -> Choice:
    """A backend by name; `auto` takes inductor where it can run, else eager, and says why.

    Args:
        name: `auto` or one of `BACKENDS`.
        build: the build directory or run whose native code may be run.
        trust_native: whether to run native code; it is asked for by name, never by `auto`.

    Raises:
        UsageError: there is no such backend, it cannot run here, or it needs a build or trust.
        RunError: the build's native code is damaged.
    """
    if name not in ("auto", *BACKENDS):
        raise UsageError(f"there is no backend `{name}`", help=f"choose one of auto, {', '.join(BACKENDS)}")
    if trust_native and name not in NATIVE_BACKENDS:
        raise UsageError(
            f"backend `{name}` runs no native code of a build, so there is nothing to trust",
            help=f"leave --trust-native out, or choose --backend {' or '.join(NATIVE_BACKENDS)}",
        )
    if name == "auto":
        inductor = _make("inductor", build, trust_native)
        reason = inductor.available()
        if reason is None:
            return Choice(inductor, "inductor: a compiler is at hand")
        return Choice(_make("eager", build, trust_native), f"eager: inductor cannot run, {reason}")
    backend = _make(name, build, trust_native)
    if reason := backend.available():
        help = "--backend auto takes one that can"
        if trust_native:
            help += f", without --trust-native; `legoc build {build} --backend {name}` compiles for this machine"
        raise UsageError(f"backend `{name}` cannot run here: {reason}", help=help)
    if name == "tensorrt" and not trust_native:
        again = "`legoc build --backend tensorrt` keeps them, --trust-native takes them"
        return Choice(backend, f"tensorrt: engines are built now, which takes minutes; {again}")
    return Choice(backend, None)


def _make(name: str, build: Path | None, trust_native: bool) -> Backend:
    # imported late: a backend's libraries are slow to import, and may not be there
    if name == "eager":
        from legoc_runtime.backends.eager import Eager

        return Eager()
    if name == "inductor":
        from legoc_runtime.backends.inductor import Inductor

        return Inductor()
    if name == "tensorrt":
        from legoc_runtime.backends.tensorrt import TensorRT

        if trust_native and build is None:
            raise UsageError("there is no build whose engines could be taken", help="leave --trust-native out")
        return TensorRT(build if trust_native else None)
    if build is None:
        raise UsageError(
            f"backend `{name}` runs the native code of a build, and none was given",
            help=f"legoc sample RUN --backend {name} --trust-native, or legoc_runtime.load in Python",
        )
    from legoc_runtime.backends.aoti import Aoti

    return Aoti(build, trust=trust_native)
