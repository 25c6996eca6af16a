"""Runs of several processes that share what they hold (`train: {sharding: fsdp2}`), as `processes.py` starts them.

    python -m tests.training.sharded FOLDER

Writes what each scenario came to into FOLDER/codes.json.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from tests.image_sets import labelled_zip
from tests.kill.disk import limit_files
from tests.training.processes import FLAGS, in_step, start
from tests.training.tiny import SPEC

# what every run imports late: here it is there in what is forked
LATE = ("torch._dynamo", "torch.distributed.fsdp", "torch.distributed.tensor", "legoc.build_directory", "legoc.driver")
LATE += ("legoc.cli.train", "legoc.cli.train_talk", "legoc_runtime.checkpoint.shards", "legoc_runtime.training.run")

SHARDED = ("--set", "train.sharding=fsdp2", "--quiet")
RECIPE = "warmup_images: 16, flip: true, log_images: 12, snapshot_images: 16, drop: {policy: halfway, rate: 0.5}, "
RECIPE += "preview_images: 40, preview_seeds: 0-3"
ALL_AT_ONCE = {
    "stages": "[{train: [small], images: 8}, {train: [parts], images: 8}, {train: [small, parts, whole]}]",
    "fill": "model",
    "checkpoint_activations": "bricks",
    "ema_profiles": "[0.1]",
    "held_out": "0.2",
}


def resharded() -> list[list[int]]:
    """One process, and two; then what the two had halfway, continued by one, two and three."""
    codes = [start(1, "one", "--quiet"), start(2, "straight", *SHARDED)]
    for size in (1, 2, 3):
        shutil.copytree("straight", half := f"half-{size}")
        for later in ("36", "48"):
            shutil.rmtree(f"{half}/checkpoints/0000000000{later}")
        codes.append(start(size, half, *SHARDED[:2]))
    return codes


def combined() -> list[list[int]]:
    """Everything at once in bfloat16, with weights sharded and not."""
    flags = [word for key, value in ALL_AT_ONCE.items() for word in ("--set", f"train.{key}={value}")]
    flags += ["--precision", "bf16", "--accumulate", "2", "--batch", "8", "--images", "32"]

    def few(rank: int) -> None:
        from legoc_runtime.training import held_out

        held_out.LEAST = 10  # the second process has nothing to measure at last

    return [start(2, "plain", *flags, "--quiet", strike=few), start(2, "combined", *SHARDED, *flags, strike=few)]


def struck() -> list[list[int]]:
    """The second process is killed; the run continues with one whose disk is full, and then to its end."""

    def full(rank: int) -> None:
        if rank == 1:
            limit_files(4096)

    codes = [start(2, "struck", *SHARDED, strike=in_step(3, 1, signal.SIGKILL))]
    return [*codes, start(2, "struck", *SHARDED, strike=full), start(2, "struck", *SHARDED)]


def diverged() -> list[list[int]]:
    """Weights beyond all numbers."""
    return [start(2, "diverged", *SHARDED, "--lr", "1e30", "--set", "train.warmup_images=0")]


SCENARIOS: tuple[Callable[[], list[list[int]]], ...] = (resharded, combined, struck, diverged)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in LATE:
        importlib.import_module(name)
    os.chdir(sys.argv[1])
    before, _, _ = SPEC.partition("train:")
    Path("tiny.yaml").write_text(f"{before}train: {{{RECIPE}}}\nsample: {{steps: 2}}\n", encoding="utf-8")
    FLAGS[FLAGS.index("--batch") + 1] = "12"
    labelled_zip(Path("data.zip"))
    codes = {scenario.__name__: scenario() for scenario in SCENARIOS}
    Path("codes.json").write_text(json.dumps(codes), encoding="utf-8")
