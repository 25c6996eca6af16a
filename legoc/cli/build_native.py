"""`legoc build --backend`: native code in a build, and what is said while it is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.output import echo
from legoc.cli.parameters import Option
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc.native import NativeTarget
    from legoc_runtime.contract.manifest import Manifest

BackendOption = Annotated[
    str | None,
    Option(
        "--backend",
        help="Compile native code into the build: aoti, for a process that has the runtime alone, or tensorrt. SPEC "
        "may be a build or run then, which is left as it is otherwise. eager and inductor need nothing of a build.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str | None,
    Option(help="What native code is for: auto, cpu, or cuda. [default: auto]", show_default=False),
]
DtypeOption = Annotated[
    str | None,
    Option(help="What native code computes in: float32, bf16, or fp16. [default: float32]", show_default=False),
]


def target_of(backend: str | None, device: str | None, dtype: str | None) -> NativeTarget | None:
    """What to compile for, or None where no backend was asked for.

    Raises:
        UsageError: a flag would do nothing, has an unknown value, or asks for what cannot be compiled here.
    """
    if backend is None:
        if device is not None or dtype is not None:
            raise UsageError("--device and --dtype say what native code is for", help="add --backend aoti")
        return None
    from legoc.native import check_native, native_target

    target = native_target(backend, device or "auto", dtype or "float32")
    check_native(target)
    return target


def add_native(manifest: Manifest, directory: Path, target: NativeTarget) -> None:
    """Compile native code into a build, saying which block is at work."""
    from legoc.native import build_native

    folder = build_native(manifest, directory, target, on_block=lambda name: echo(f"compiling {name}", err=True))
    echo(f"{folder} is native code for this kind of machine: run it with --trust-native", err=True)
