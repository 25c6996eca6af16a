"""Whether two runs are one, but for the clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from legoc_runtime.checkpoint import checkpoints
from legoc_runtime.checkpoint.tensorfile import load
from legoc_runtime.training.metrics import METRICS_NAME

OF_THE_CLOCK = ("images_per_second", "seconds")


def differences(one: Path, other: Path) -> str | None:
    """The first difference between the last checkpoints and the metrics of two runs; None where there is none."""
    left, right = checkpoints(one)[-1], checkpoints(other)[-1]
    names = sorted(path.name for path in left.glob("*.safetensors"))
    if left.name != right.name or names != sorted(path.name for path in right.glob("*.safetensors")):
        return f"{left.name} with {names}, and {right.name}"
    for name in names:
        mine, its = load(left / name), load(right / name)
        if mine.keys() != its.keys():
            return f"{name} holds other tensors"
        for key, tensor in mine.items():
            if not torch.equal(tensor, its[key]):
                return f"{name}: {key}"
    return None if metrics(one) == metrics(other) else "metrics.jsonl"


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics without what the clock decides."""
    lines = [json.loads(line) for line in (run / METRICS_NAME).read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in OF_THE_CLOCK} for line in lines]
