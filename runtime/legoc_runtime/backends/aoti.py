"""The aoti backend: blocks compiled ahead of time into weightless AOTInductor packages, bound to the store's weights.

`legoc build --backend aoti` makes the package, one entry a block signature. Here each block of a linked module is bound
to its entry by address: an optimizer step or a swap of weights inside the store is seen at once, and nothing is copied.
What surrounds the blocks stays the linked eager graph. Neither the compiler side of legoc nor that of PyTorch is
imported.

A package trusts its caller: called before its weights are bound, or with other shapes, it reads memory that is not
there. So everything is checked first, and the runner never leaves this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, fx, nn

from legoc_runtime.backends.base import Module
from legoc_runtime.backends.device import DTYPES
from legoc_runtime.backends.environment import environment
from legoc_runtime.backends.regions import Forms, block_signature, block_weights, replace_blocks
from legoc_runtime.contract.native import BlockSignature, NativeIndex, check_files, native_folder, read_index
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.layers.leaves import Attend, Mlp

PACKAGE = "blocks.pt2"
"""The package, beside its index."""

FORMS = Forms(fused=True, python_ops=False)
"""How the forms in a package are chosen: by rule, for code that runs without Python."""


class Runner(Protocol):
    """The part of PyTorch's package loader that is used."""

    def get_constant_fqns(self) -> list[str]:
        """Names of the weights that the entry reads."""
        ...

    def load_constants(
        self, weights: Mapping[str, Tensor], use_inactive: bool, check_full_update: bool, user_managed: bool
    ) -> None:
        """Bind weights; user-managed ones by address."""
        ...

    def run(self, inputs: list[Tensor]) -> list[Tensor]:
        """Call the entry."""
        ...


class NativeBlock(nn.Module):
    """A block of the store run by native code. Holds the store's leaves; owns no weights.

    Raises:
        RunError: the package wants other weights than the block has.
    """

    def __init__(self, attend: Attend, mlp: Mlp, signature: BlockSignature, runner: Runner) -> None:
        super().__init__()
        self.attend = attend
        self.mlp = mlp
        self.signature = signature
        self._runner = runner
        self._bound: tuple[Tensor, ...] = ()
        self._addresses: tuple[int, ...] = ()
        self._bind()

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:
        """Tokens [N, W, L, D], modulation [N, 6*D] to [N, W, L, D].

        Raises:
            UsageError: gradients are on, which native code has none of.
            RunError: an argument is not what the code was compiled for.
        """
        if torch.is_grad_enabled():
            raise UsageError("backend `aoti` has no gradients", help="call the stack under torch.no_grad()")
        self._check(tokens, modulation)
        if tuple(weight.data_ptr() for weight in self._weights()) != self._addresses:
            self._bind()
        return self._runner.run([tokens.contiguous(), modulation.contiguous()])[0]

    def _weights(self) -> tuple[Tensor, ...]:
        attend, mlp = self.attend, self.mlp
        layers = (attend.qkv, attend.proj, mlp.fc1, mlp.fc2)
        return tuple(tensor for layer in layers for tensor in (layer.weight, layer.bias))

    def _check(self, tokens: Tensor, modulation: Tensor) -> None:
        s = self.signature
        weight = self.attend.proj.weight
        fits = (
            tokens.ndim == 4
            and tokens.shape[2:] == (s.tokens, s.width)
            and min(tokens.shape[:2]) > 0
            and modulation.shape == (tokens.shape[0], 6 * s.width)
            and tokens.dtype == modulation.dtype == weight.dtype
            and tokens.device == modulation.device == weight.device
        )
        if not fits:
            raise RunError(
                f"{s.name} was called with tokens {tuple(tokens.shape)} {tokens.dtype} and modulation "
                f"{tuple(modulation.shape)} {modulation.dtype} on {tokens.device}"
            )

    def _bind(self) -> None:
        weights = block_weights(self.attend, self.mlp)
        s = self.signature
        expected = {
            "attend.qkv.weight": (3 * s.width, s.width),
            "attend.qkv.bias": (3 * s.width,),
            "attend.proj.weight": (s.width, s.width),
            "attend.proj.bias": (s.width,),
            "mlp.fc1.weight": (s.hidden, s.width),
            "mlp.fc1.bias": (s.hidden,),
            "mlp.fc2.weight": (s.width, s.hidden),
            "mlp.fc2.bias": (s.width,),
        }
        found = {name: tuple(weight.shape) for name, weight in weights.items()}
        if set(self._runner.get_constant_fqns()) != expected.keys() or found != expected:
            raise RunError(f"the package's {s.name} wants other weights than the block has", help=AGAIN)
        if any(not w.is_contiguous() or str(w.dtype) != f"torch.{s.dtype}" for w in weights.values()):
            raise RunError(f"the weights of a block are not contiguous {s.dtype}, as {s.name} wants them")
        # the package keeps addresses alone: what it points at is held here for as long
        self._bound = tuple(weights.values())
        self._runner.load_constants(weights, False, True, True)
        self._addresses = tuple(weight.data_ptr() for weight in self._weights())


def _dtype_flag(attend: Attend) -> str:
    """The flag of the command line for a dtype that has one."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    name = names.get(attend.proj.weight.dtype)
    return f" --dtype {name}" if name else ""


AGAIN = "make the package again with `legoc build BUILD --backend aoti`"


class Aoti:
    """Runs the blocks of a build's AOTInductor package.

    Args:
        build: a build directory or run with `native/aoti`.
        trust: whether to run the native code in it. Its index only shows that it is what a build wrote, not whose.

    Raises:
        UsageError: the build has no package, or it is not trusted.
        RunError: the package is damaged.
    """

    name = "aoti"

    def __init__(self, build: Path, *, trust: bool) -> None:
        self.build = build
        self.index: NativeIndex = read_index(build, self.name)
        if not trust:
            raise UsageError(
                f"{native_folder(build, self.name)} is native code, which can do anything that you can",
                help="if you know who built it: --trust-native, or trust_native=True in Python",
            )
        check_files(build, self.index)
        if PACKAGE not in {file.name for file in self.index.files}:
            raise RunError(f"the index in {native_folder(build, self.name)} has no checksum of {PACKAGE}", help=AGAIN)

    def available(self) -> str | None:
        """None, or how this machine differs from the one that the package was built on."""
        if self.index.environment.device.startswith("cuda") and not torch.cuda.is_available():
            return "its package is for CUDA, and there is no CUDA device here"
        device = torch.device("cuda" if self.index.environment.device.startswith("cuda") else "cpu")
        misfits = self.index.environment.misfits(environment(device))
        return f"its package was built elsewhere: {'; '.join(misfits)}" if misfits else None

    def compile(self, module: fx.GraphModule, *, training: bool = False) -> Module:
        """The module with each block replaced by native code; results agree within rounding.

        Raises:
            UsageError: training was asked for, or the package lacks a block: of this size, dtype or device.
            RunError: the package wants other weights, or cannot be loaded.
        """
        if training:
            raise UsageError("backend `aoti` has no gradients", help="train with --backend inductor")

        def native(attend: Attend, mlp: Mlp) -> NativeBlock:
            signature = block_signature(attend, mlp, FORMS)
            device = attend.proj.weight.device
            held = self.index.environment.device.split()[0]
            if signature not in self.index.blocks or device.type != held:
                names = ", ".join(block.name for block in self.index.blocks)
                raise UsageError(
                    f"the package has no {signature.name} for {device.type}; it has {names} for {held}",
                    help=f"legoc build {self.build} --backend aoti --device {device.type}{_dtype_flag(attend)}",
                )
            return NativeBlock(attend, mlp, signature, self._runner(signature, device))

        return replace_blocks(module, native)

    def _runner(self, signature: BlockSignature, device: torch.device) -> Runner:
        path = native_folder(self.build, self.name) / PACKAGE
        load: Any = cast("Any", torch)._C._aoti.AOTIModelPackageLoader
        index = device.index if device.type == "cuda" else -1
        try:
            return cast("Runner", load(str(path), signature.name, False, 1, index))
        except RuntimeError as error:
            raise RunError(f"{path} cannot be loaded: {error}", help=AGAIN) from error
