"""A package that opens a model of its own, as an installed one would be found."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

CODE = """\
import torch
from safetensors.torch import load_file
from torch import nn

from legoc_runtime.pretrained import PretrainedModel


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(factor)

    def forward(self, x, level, labels):
        return x * self.factor + level[:, None, None, None] / 1000


def noise(folder):
    levels = [0.01 * 1.5**t for t in range(30)]
    return PretrainedModel(Scale(load_file(folder / "model.safetensors")["factor"]), "epsilon", levels)


def clean(folder):
    return PretrainedModel(Scale(load_file(folder / "model.safetensors")["factor"]))


def wide(folder):
    return PretrainedModel(Scale(load_file(folder / "model.safetensors")["factor"].reshape(1, 1, 1)))


def nothing(folder):
    return 5
"""


@contextmanager
def installed(site: Path, prefix: str = "own") -> Generator[None]:
    """The package on the path, with its entry points `PREFIX_clean` and so on, until the block ends."""
    info = site / f"{prefix}_model_package-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{prefix}_model_package.py").write_text(CODE, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {prefix}-model-package\nVersion: 1.0\n", "utf-8")
    names = ("noise", "clean", "wide", "nothing", "absent")
    points = "".join(f"{prefix}_{name} = {prefix}_model_package:{name}\n" for name in names)
    (info / "entry_points.txt").write_text(f"[legoc.pretrained]\n{points}", encoding="utf-8")
    sys.path.insert(0, str(site))
    try:
        yield
    finally:
        sys.path.remove(str(site))
        sys.modules.pop(f"{prefix}_model_package", None)
