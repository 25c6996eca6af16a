"""A run to take as a model, made by the commands, beside a user's own model: what end-to-end tests begin with."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from legoc.__main__ import main
from tests.image_sets import labelled_zip
from tests.pretrained.own_model import installed

HEAD = """\
legoc: 1
name: NAME
grid: {height: 8, width: 8, channels: 3}
conditioning: {classes: 4}
brick_defaults: {depth: 1, width: 16, heads: 2}
train: {ema: [0.9], images: 8, batch: 4, warmup_images: 0, optimizer: {lr: 1e-2}}
sample: {steps: 4, guidance: 1.5}
bricks:
"""
OWN = HEAD.replace("NAME", "old") + "  - {id: low, size: 4}\n  - {id: top, size: image}\n"


def run(*arguments: str) -> None:
    assert main([*arguments, *(["-q", "--backend", "eager"] if arguments[0] in ("train", "sample") else [])]) == 0


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sigma = torch.tensor([0.02, 0.7, 30.0])
    return torch.randn(3, 3, 8, 8, generator=generator) * sigma[:, None, None, None], sigma, torch.tensor([0, 3, 4])


@contextmanager
def prepared(place: Path, prefix: str = "own") -> Generator[Path]:
    """`runs/old`, `data.zip`, and `model` with the weights of a model whose package is installed under a prefix."""
    labelled_zip(place / "data.zip", count=6, classes=4)
    (place / "model").mkdir()
    save_file({"factor": torch.tensor(0.5)}, place / "model/model.safetensors")
    with installed(place / "site", prefix), pytest.MonkeyPatch.context() as here:
        here.chdir(place)
        Path("old.yaml").write_text(OWN, encoding="utf-8")
        run("build", "old.yaml")
        run("train", "build/old", "--data", "data.zip")
        yield place
