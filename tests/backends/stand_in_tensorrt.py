"""A stand-in for torch_tensorrt: its recorded signatures, engines that keep the weights that they were built with."""

from __future__ import annotations

import copy
import inspect
import json
import sys
import warnings
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tests.backends.record_torch_tensorrt import RECORD


class StandIn:
    """What was called, and how it is to go wrong.

    Attributes:
        calls: name and keywords of every call.
        lose_biases: refitting drops biases, as TensorRT's may.
        inexact: engines are off by this factor.
    """

    def __init__(self) -> None:
        self.record = json.loads(RECORD.read_text())
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.lose_biases = False
        self.inexact = 1.0

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def install(self, monkeypatch) -> None:
        package, dynamo = ModuleType("torch_tensorrt"), ModuleType("torch_tensorrt.dynamo")
        package.__spec__ = ModuleSpec("torch_tensorrt", None)
        package.Input, package.dynamo = self.input, dynamo
        dynamo.compile, dynamo.refit_module_weights = self.compile, self.refit
        monkeypatch.setitem(sys.modules, "torch_tensorrt", package)
        monkeypatch.setitem(sys.modules, "torch_tensorrt.dynamo", dynamo)

    def bound(self, name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Arguments by name, as the recorded signature takes them; TypeError where it does not."""
        recorded = self.record["functions"][name]
        parameters = [
            inspect.Parameter(parameter, kind, default=inspect.Parameter.empty if default is None else default)
            for kind, group in (
                (inspect.Parameter.POSITIONAL_OR_KEYWORD, "positional"),
                (inspect.Parameter.KEYWORD_ONLY, "keyword_only"),
            )
            for parameter, default in recorded[group].items()
        ]
        found = inspect.Signature(parameters).bind(*args, **kwargs).arguments
        self.calls.append((name, found))
        return found

    def input(self, **kwargs: Any) -> dict[str, Any]:
        unknown = kwargs.keys() - set(self.record["input_keywords"])
        if unknown:
            raise TypeError(f"Input has no {unknown}")
        assert kwargs["min_shape"] <= kwargs["opt_shape"] <= kwargs["max_shape"]
        return kwargs

    def compile(self, *args: Any, **kwargs: Any) -> torch.nn.Module:
        found = self.bound("dynamo.compile", *args, **kwargs)
        if found.get("cache_built_engines"):
            folder = Path(found["engine_cache_dir"])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "blob.bin").write_bytes(b"an engine")
        return self.engine(found["exported_program"])

    def refit(self, *args: Any, **kwargs: Any) -> torch.nn.Module:
        found = self.bound("dynamo.refit_module_weights", *args, **kwargs)
        engine = self.engine(found["new_weight_module"])
        if self.lose_biases:
            for name, weight in engine.named_parameters():
                if name.endswith("bias"):
                    weight.data.zero_()
        return engine

    def engine(self, exported: torch.export.ExportedProgram) -> torch.nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns about its own copying
            engine = copy.deepcopy(exported.module())
        for weight in engine.parameters():
            weight.data.mul_(self.inexact)
        return engine
