"""Checkpoints for migrations: never trained, every weight alive, with averages and AdamW's state."""

from __future__ import annotations

from pathlib import Path

import torch

from legoc.driver import describe_spec, sealed_shape
from legoc_runtime.checkpoint import Header, write_checkpoint
from legoc_runtime.training.metrics import Meter
from legoc_runtime.training.resume import stack_record
from tests.review.gallery import resolved
from tests.stacks import random_store

IMAGES = 320


def write_trained(run: Path, text: str, *, ema: tuple[float, ...] = (0.9999,), seed: int = 0) -> Path:
    """A checkpoint of a spec as training leaves it, in a run that has no build; gives the checkpoint."""
    spec = resolved(text)
    manifest, spec_text = describe_spec(spec)
    shape = sealed_shape(spec.shape)
    kinds = ("weights", *(f"ema-{rate!r}" for rate in ema))
    stores = {kind: random_store(shape, seed=first) for first, kind in enumerate(kinds, seed)}
    files = {kind: {key: w.detach() for key, w in store.weights.items()} for kind, store in stores.items()}
    optimizer = {f"step/{key}": torch.tensor(40.0) for key in files["weights"]}
    for name in ("exp_avg", "exp_avg_sq"):
        optimizer |= {f"{name}/{key}": weight**2 for key, weight in files["weights"].items()}
    optimizer |= {
        f"meter/{name}": total + 1 for name, total in Meter(shape.trainable, torch.device("cpu")).tensors().items()
    }
    if spec.train.precision == "fp16":
        optimizer |= {"loss_scale/scale": torch.tensor(1024.0), "loss_scale/calm": torch.tensor(3.0)}
    state = {"step": 40, "seconds": 7.0, "logged_images": 300, "logged_seconds": 6.0, "final": False}
    record = {**stack_record(manifest, manifest.train), "data": {"images": 10, "sha256": "0" * 64}}
    header = Header(spec_text, manifest.spec_hash, IMAGES)
    return write_checkpoint(run, header, {**files, "optimizer": optimizer}, {**state, **record})
