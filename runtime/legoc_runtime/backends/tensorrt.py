"""The tensorrt backend: one TensorRT engine a brick, chained as each configuration says.

Engines do not share weights, so an engine a configuration would copy a brick once for each; one a brick is copied once
whatever the configurations. An engine takes any batch up to its largest, and larger batches are cut. Casts stand in the
graph: TensorRT 11 is strongly typed and takes each operation in the type that it is written in. When the store's
generation moves, engines are refitted; refitting is known to lose biases, and converters to be inexact, so every engine
is held against the store's own modules after it was built and after every refit.

torch_tensorrt is imported when a backend is asked for, never before: its import alone fails without a driver.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from legoc_runtime.backends.base import Module
from legoc_runtime.backends.environment import environment
from legoc_runtime.backends.regions import Forms, replace_bricks, with_forms
from legoc_runtime.contract.native import NativeIndex, check_files, native_folder, read_index
from legoc_runtime.errors import RunError, UsageError

PACKAGES = ("tensorrt", "torch-tensorrt")
"""Distributions that engines depend on."""

FORMS = Forms(fused=True, attention="sdpa", gelu="call")
"""TensorRT knows these two as they are; other forms would hide them from it."""

MOST_ROWS = 256
USUAL_ROWS = 64
"""Rows of an engine's largest call, and of the one that it is tuned for."""

CACHE_BYTES = 1 << 40
"""Bound of an engine cache, far above what a stack takes: cached engines of a build are never dropped."""

BOUNDS = {torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 6e-2}
"""Largest difference from the store's modules, over their largest value: a few roundings of each type."""


@dataclass(frozen=True)
class EngineCache:
    """Where engines are kept.

    Torch-TensorRT writes an engine as a pickle and finds it by its operations, not by their arguments. So each brick
    has a folder of its own, and what a build holds is read by those alone who trust it.

    Attributes:
        folder: the cache.
        write: whether engines are put there; else they are taken from there.
    """

    folder: Path
    write: bool


class TensorRT:
    """Runs bricks as TensorRT engines.

    Args:
        build: a build directory or run, whose engines are taken; None builds engines when bricks are first called.
        cache: where to put engines that are built.

    Raises:
        UsageError: the build has no engines.
        RunError: they are damaged.
    """

    name = "tensorrt"

    def __init__(self, build: Path | None = None, *, cache: EngineCache | None = None) -> None:
        self._index: NativeIndex | None = None
        self._cache = cache
        if build is not None:
            self._index = read_index(build, self.name)
            check_files(build, self._index)
            self._cache = EngineCache(native_folder(build, self.name), write=False)
        self._engines: dict[str, BrickEngine] = {}

    def available(self) -> str | None:
        """None, or why engines cannot be built or run here."""
        if not torch.cuda.is_available():
            return "there is no CUDA device"
        if find_spec("torch_tensorrt") is None:
            return "the package torch-tensorrt is not installed (pip install 'legoc[tensorrt]')"
        try:
            import_module("torch_tensorrt")
        except Exception as error:  # it raises a plain Exception where libraries of TensorRT are missing
            return f"importing torch_tensorrt raised {type(error).__name__}: {error}"
        if self._index is None:
            return None
        misfits = self._index.environment.misfits(environment(torch.device("cuda"), PACKAGES))
        return f"its engines were built elsewhere: {'; '.join(misfits)}" if misfits else None

    def compile(self, module: fx.GraphModule, *, training: bool = False) -> Module:
        """The module with each brick's network run by its engine, built at its first call.

        Raises:
            UsageError: training was asked for, or a dtype that TensorRT does not take.
        """
        if training:
            raise UsageError("backend `tensorrt` has no gradients", help="train with --backend inductor")
        generation = cast("Callable[[], int]", module.meta["generation"])

        def engine(id: str, inner: fx.GraphModule) -> BrickEngine:
            key = _key(id, inner)
            if key not in self._engines:
                self._engines[key] = BrickEngine(id, key, inner, generation, self._cache)
            return self._engines[key]

        return replace_bricks(with_forms(module, FORMS), engine)


class BrickEngine(nn.Module):
    """A brick's network run by an engine; the store's own modules stand by to be compared with."""

    def __init__(
        self,
        id: str,
        key: str,
        inner: fx.GraphModule,
        generation: Callable[[], int],
        cache: EngineCache | None,
    ) -> None:
        super().__init__()
        self.id = id
        self.inner = inner
        self.dtype = next(inner.parameters()).dtype
        if self.dtype not in BOUNDS:
            raise UsageError(f"backend `tensorrt` does not take {self.dtype}", help="--dtype float32, bf16 or fp16")
        self._key = key
        self._generation = generation
        self._cache = cache
        self._made: tuple[int, Module] | None = None  # in a tuple: an attribute would become a submodule

    def forward(self, *arguments: Tensor) -> Tensor:
        """Tokens [N, W, L, F] and modulations [N, k*D] to decoded tokens [N, W, L, p*p*C].

        Raises:
            UsageError: gradients are on.
            RunError: no engine gives what the store's modules give.
        """
        if torch.is_grad_enabled():
            raise UsageError("backend `tensorrt` has no gradients", help="call the stack under torch.no_grad()")
        rows = arguments[0].shape[0]
        if rows > MOST_ROWS:
            cuts = [slice(start, start + MOST_ROWS) for start in range(0, rows, MOST_ROWS)]
            return torch.cat([self(*(argument[cut] for argument in arguments)) for cut in cuts])
        given = tuple(argument.contiguous() for argument in arguments)
        generation = self._generation()
        if self._made is None or self._made[0] != generation:
            self._made = (generation, self._fitted(given))
        return cast("Tensor", self._made[1](*given))

    def _fitted(self, given: tuple[Tensor, ...]) -> Module:
        """An engine of the weights as they are: refitted where there is one, else built."""
        exported = _exported(self.inner, given)
        dynamo: Any = import_module("torch_tensorrt").dynamo
        if self._made is not None:
            refitted = cast("Module", dynamo.refit_module_weights(self._made[1], exported, arg_inputs=given))
            if self._error(refitted, given) <= BOUNDS[self.dtype]:
                return refitted
        built = cast("Module", dynamo.compile(exported, arg_inputs=_inputs(given), **self._settings(given)))
        if (error := self._error(built, given)) > BOUNDS[self.dtype]:
            raise RunError(
                f"the TensorRT engine of brick `{self.id}` differs from its modules by {error:.2g} of their largest "
                f"value, and {BOUNDS[self.dtype]:.2g} is allowed for {self.dtype}",
                help="--backend inductor",
            )
        return built

    def _settings(self, given: tuple[Tensor, ...]) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "device": given[0].device,
            "disable_tf32": True,
            "assume_dynamic_shape_support": True,
            "min_block_size": 1,
            "immutable_weights": False,
        }
        if self._cache is not None:
            settings |= {
                "cache_built_engines": self._cache.write,
                "reuse_cached_engines": not self._cache.write,
                "engine_cache_dir": str(self._cache.folder / self._key),
                "engine_cache_size": CACHE_BYTES,
            }
        return settings

    def _error(self, engine: Module, given: tuple[Tensor, ...]) -> float:
        """How far an engine is from the store's modules, over their largest value."""
        expected = cast("Tensor", self.inner(*given)).float()
        found = cast("Tensor", engine(*given)).float()
        if not found.isfinite().all():
            return float("inf")
        return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


def _exported(inner: fx.GraphModule, given: tuple[Tensor, ...]) -> Any:
    """The brick's network for any number of rows up to the largest. It wants two of them to see that they may vary."""
    from torch.export import Dim, export

    rows = Dim("rows", min=1, max=MOST_ROWS)
    examples = tuple(argument[:1].expand(2, *argument.shape[1:]).contiguous() for argument in given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # export warns about its own code
        return cast("Any", export)(inner, examples, dynamic_shapes=tuple({0: rows} for _ in given))


def _inputs(given: tuple[Tensor, ...]) -> tuple[Any, ...]:
    make: Any = import_module("torch_tensorrt").Input
    return tuple(
        make(
            min_shape=(1, *argument.shape[1:]),
            opt_shape=(USUAL_ROWS, *argument.shape[1:]),
            max_shape=(MOST_ROWS, *argument.shape[1:]),
            dtype=argument.dtype,
        )
        for argument in given
    )


def _key(id: str, inner: fx.GraphModule) -> str:
    """Names an engine: the brick, and what its network is apart from the values of its weights."""
    weights = [f"{name} {tuple(weight.shape)} {weight.dtype}" for name, weight in inner.named_parameters()]
    text = "\n".join([inner.code, *weights])
    return f"{id}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
