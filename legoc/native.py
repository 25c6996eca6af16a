"""Native code for a build, compiled ahead of time: blocks without weights, or engines to be refitted.

takes: Manifest, NativeTarget
gives: `native/BACKEND` in a build directory
may import: torch and its compiler, `legoc_runtime`
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from legoc_runtime.backends.aoti import FORMS, PACKAGE
from legoc_runtime.backends.base import BACKENDS, NATIVE_BACKENDS
from legoc_runtime.backends.device import choose_device, choose_dtype
from legoc_runtime.backends.environment import environment
from legoc_runtime.backends.inductor import Inductor
from legoc_runtime.backends.regions import block_signature, run_block
from legoc_runtime.backends.tensorrt import PACKAGES, EngineCache, TensorRT
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.native import (
    INDEX_NAME,
    BlockSignature,
    NativeFile,
    NativeIndex,
    measure,
    native_folder,
)
from legoc_runtime.contract.policy import configuration_name
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.layers.leaves import Attend, Mlp
from legoc_runtime.pretrained import open_store
from legoc_runtime.stack import BrickStack

MOST_IMAGES = 1 << 20
MOST_WINDOWS = 1 << 20
"""Bounds of the sizes that a package is compiled for; export wants some."""

OnBlock = Callable[[str], None]
"""Told the name of what is compiled next."""


@dataclass(frozen=True)
class NativeTarget:
    """What native code is made for.

    Attributes:
        backend: whose it is, one of `NATIVE_BACKENDS`.
        device: where it will run.
        dtype: type of the weights and of the arithmetic.
    """

    backend: str
    device: torch.device
    dtype: torch.dtype


def native_target(backend: str, device: str, dtype: str) -> NativeTarget:
    """A target by the words of the command line.

    Raises:
        UsageError: a word is unknown, there is no such device here, or a build holds nothing of this backend.
    """
    if backend in ("auto", *BACKENDS) and backend not in NATIVE_BACKENDS:
        raise UsageError(
            f"a build holds nothing of backend `{backend}`: `train` and `sample` choose it, for any build",
            help=f"leave --backend out, or compile ahead of time with --backend {' or '.join(NATIVE_BACKENDS)}",
        )
    if backend not in NATIVE_BACKENDS:
        raise UsageError(f"there is no backend `{backend}`", help=f"choose {' or '.join(NATIVE_BACKENDS)}")
    return NativeTarget(backend, choose_device(device), choose_dtype(dtype))


def check_native(target: NativeTarget) -> None:
    """Refuse what cannot be compiled here, before anything is written.

    Raises:
        UsageError: there is no compiler, or not for this device.
    """
    backend = TensorRT() if target.backend == "tensorrt" else Inductor()
    if reason := backend.available():
        raise UsageError(f"backend `{target.backend}` cannot be built here: {reason}")
    if target.backend == "tensorrt" and target.device.type != "cuda":
        raise UsageError("TensorRT engines are for CUDA", help="--device cuda")


def build_native(manifest: Manifest, directory: Path, target: NativeTarget, *, on_block: OnBlock | None = None) -> Path:
    """Compile native code into a build directory or run; replaces what was there for this backend.

    Args:
        manifest: the build's.
        directory: where it is.
        target: what to compile for. Code for a GPU is compiled on one of its kind.
        on_block: called before each compilation, which takes 10 to 30 seconds, or minutes with TensorRT.

    Returns:
        The folder.

    Raises:
        UsageError: nothing can be compiled here.
        RunError: the directory cannot be written.
    """
    check_native(target)
    folder = native_folder(directory, target.backend)
    try:
        folder.parent.mkdir(exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.backend}-", dir=folder.parent))
        try:
            build = _tensorrt if target.backend == "tensorrt" else _aoti
            index = build(manifest, fresh, target, on_block)
            (fresh / INDEX_NAME).write_text(index.to_json(), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            fresh.chmod(0o755)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise RunError(f"native code cannot be written to {folder}: {error.strerror}") from error
    return folder


def _aoti(manifest: Manifest, folder: Path, target: NativeTarget, on_block: OnBlock | None) -> NativeIndex:
    """One entry a block signature, in one package."""
    from torch._inductor.package.package import package_aoti

    blocks = {block.signature: block for block in _blocks(manifest, target)}
    compiled: dict[str, list[str]] = {}
    for signature, block in blocks.items():
        if on_block is not None:
            on_block(signature.name)
        compiled[signature.name] = _compile(block)
    cast("Any", package_aoti)(str(folder / PACKAGE), compiled)
    return NativeIndex("aoti", environment(target.device), _measured(folder), tuple(blocks))


def _tensorrt(manifest: Manifest, folder: Path, target: NativeTarget, on_block: OnBlock | None) -> NativeIndex:
    """One engine a brick. Whoever loads it refits it, so weights are any that let a wrong engine be noticed."""
    store = open_store(manifest.shape, device=target.device, dtype=target.dtype)
    with store.updating(), torch.no_grad():
        for weight in store.weights.values():
            weight.normal_(std=0.05)
    stack = BrickStack(manifest, store, backend=TensorRT(cache=EngineCache(folder, write=True)))
    images = torch.zeros(1, manifest.shape.channels, *manifest.shape.grid, device=target.device)
    for configuration in stack.configurations:
        if on_block is not None:
            on_block(configuration_name(configuration))
        with torch.no_grad():
            stack(images, torch.ones(1), configuration=configuration)
    return NativeIndex("tensorrt", environment(target.device, PACKAGES), _measured(folder))


def _measured(folder: Path) -> tuple[NativeFile, ...]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(measure(path, path.relative_to(folder).as_posix()) for path in files)


class _Whole(nn.Module):
    """A block as one module, for export: its weights are parameters with the names that the runtime binds."""

    def __init__(self, attend: Attend, mlp: Mlp) -> None:
        super().__init__()
        self.attend = attend
        self.mlp = mlp

    @property
    def signature(self) -> BlockSignature:
        """The block's signature as it is now."""
        return block_signature(self.attend, self.mlp, FORMS)

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:
        """Tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D]."""
        attention, gelu = FORMS.of_attention(self.attend), FORMS.of_gelu(self.mlp)
        return run_block(self.attend, self.mlp, tokens, modulation, attention, gelu)


def _blocks(manifest: Manifest, target: NativeTarget) -> list[_Whole]:
    """One block a brick, never the stack: nothing but its signature and its shapes count."""
    with torch.device(target.device):
        return [_Whole(Attend(brick), Mlp(brick)).to(target.dtype) for brick in manifest.shape.bricks]


def _compile(block: _Whole) -> list[str]:
    """The files of one compiled block."""
    from torch._inductor import aot_compile
    from torch.export import Dim, export

    weight, form = block.attend.proj.weight, block.signature
    tokens = torch.zeros(2, 3, form.tokens, form.width, dtype=weight.dtype, device=weight.device)
    modulation = torch.zeros(2, 6 * form.width, dtype=weight.dtype, device=weight.device)
    images, windows = Dim("images", min=1, max=MOST_IMAGES), Dim("windows", min=1, max=MOST_WINDOWS)
    shapes = {"tokens": {0: images, 1: windows}, "modulation": {0: images}}
    options = {"aot_inductor.package": True, "aot_inductor.package_constants_in_so": False}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # export and inductor warn about their own code
        exported = cast("Any", export)(block.eval(), (tokens, modulation), dynamic_shapes=shapes)
        files = cast("Any", aot_compile)(exported.module(), (tokens, modulation), options=options)
    # the source files stay behind: nothing reads them, and they name paths of this machine
    return [file for file in cast("list[str]", files) if not file.endswith(".cpp")]
