"""A stack small enough to train within a test, with everything random switched on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from legoc.driver import compile_spec
from legoc.spec import check_text
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.data import ImageDataset, open_dataset
from legoc_runtime.training import Outcome, Quiet, train
from tests.image_sets import labelled_zip

SPEC = """\
legoc: 1
name: tiny
grid: {height: 8, width: 8, channels: 3}
conditioning: {classes: 3, label_dropout: 0.3}
brick_defaults: {width: 16, heads: 2, depth: 1, train_patches: 0.5}
bricks:
  - {id: small, size: 2, receptive_field: 1}
  - {id: parts, size: 4, receptive_field: 2}
  - {id: whole, size: image, receptive_field: 4}
train: {batch: 4, images: 32, warmup_images: 16, flip: true, log_images: 12, snapshot_images: 20, ema: [0.9, 0.5]}
"""


def tiny_build(**changes: tuple[str, str]) -> tuple[Manifest, str]:
    """The tiny stack, compiled; each change replaces one text of the spec by another."""
    text = SPEC
    for before, after in changes.values():
        assert before in text
        text = text.replace(before, after)
    spec = check_text(text, "tiny.yaml").spec
    assert spec is not None
    return compile_spec(spec)


def tiny_data(folder: Path) -> ImageDataset:
    """Ten pictures of three classes."""
    path = folder / "data.zip"
    return open_dataset(path if path.exists() else labelled_zip(path))


def train_tiny(run: Path, build: tuple[Manifest, str] | None = None, **options: Any) -> Outcome:
    """Train on the CPU, eagerly. Options that are training settings change those; `start_from` is the weights."""
    manifest, spec_text = build or tiny_build()
    own = {name: options.pop(name) for name in list(options) if hasattr(manifest.train, name) and name != "start_from"}
    given = {"progress": Quiet(), "device": "cpu", "backend": "eager", "dataset": None} | options
    dataset = given.pop("dataset") or tiny_data(run.parent)
    return train(manifest, spec_text, dataset, run, settings=replace(manifest.train, **own), **given)
