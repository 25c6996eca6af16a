"""Runs of several processes on one machine, forked from one that has torch already.

    python -m tests.training.processes FOLDER SCENARIO...

A process of its own, since it forks. It writes what each scenario came to into FOLDER/SCENARIO.json.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from legoc.__main__ import main
from tests.image_sets import labelled_zip
from tests.training.tiny import SPEC

FLAGS = [
    "--data",
    "data.zip",
    "--device",
    "cpu",
    "--backend",
    "eager",
    "--ema",
    "0.9",
    "--batch",
    "8",
    "--images",
    "48",
]


def start(size: int, run: str, *flags: str, strike: Callable[[int], None] | None = None) -> list[int]:
    """Train with so many processes, as torchrun starts them; the exit code of each, or minus its signal.

    Args:
        size: how many processes.
        run: the run directory.
        flags: further flags of `legoc train`.
        strike: called in each process with its rank before it trains.
    """
    port = free_port()
    children: list[int] = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _train(rank, size, port, run, flags, strike)
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _train(
    rank: int, size: int, port: int, run: str, flags: tuple[str, ...], strike: Callable[[int], None] | None
) -> int:
    log = os.open(f"{run}.{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if size > 1:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size), **address)
    if strike:
        strike(rank)
    return main(["train", "tiny.yaml", *FLAGS, "--out", run, *flags])


def in_step(step: int, rank_struck: int, number: signal.Signals) -> Callable[[int], None]:
    """Has one process send itself a signal at the beginning of a step."""
    from legoc_runtime.training.trainer import Trainer

    def strike(rank: int) -> None:
        original, steps = Trainer.step, iter(range(1, 1000))

        def struck(self: Trainer, batch: Any) -> None:
            if next(steps) == step and rank == rank_struck:
                os.kill(os.getpid(), number)
            original(self, batch)

        Trainer.step = struck

    return strike


def equal() -> dict[str, Any]:
    """The same run with one process and two, of which one draws samples; with two also in two parts each."""
    drawn = ("--preview-images", "24", "--preview-seeds", "0-1")
    codes = [start(1, "one"), start(2, "two", *drawn), start(2, "parts", "--accumulate", "2")]
    return {"codes": codes}


def resumed() -> dict[str, Any]:
    """Three processes without a break, and with one: a SIGTERM that reaches the second alone. Then one goes on."""
    flags = ("--batch", "12")
    codes = [start(3, "straight", *flags)]
    codes.append(start(3, "broken", *flags, strike=in_step(2, 1, signal.SIGTERM)))
    codes.append(start(3, "broken", *flags))
    codes.append(start(1, "broken", *flags, "--images", "60"))
    return {"codes": codes}


def combined() -> dict[str, Any]:
    """Two processes in two parts each and bfloat16, through stages and training for skipping; with a break, and not."""
    stages = "[{train: [small], images: 16}, {train: [parts], images: 12}, {train: [small, parts, whole]}]"
    settings = (f"stages={stages}", "drop.rate=0.9", "fill=model", "patches=nested", "held_out=0.2")
    settings += ("checkpoint_activations=bricks", "ema_profiles=[0.1]")
    flags = ("--precision", "bf16", "--accumulate", "2", "--images", "72")
    flags += tuple(word for setting in settings for word in ("--set", f"train.{setting}"))
    # the break is in the second stage: one brick has no moments yet
    codes = [start(2, "unbroken", *flags), start(2, "break", *flags, "--images", "24"), start(2, "break", *flags)]
    return {"codes": codes}


def died() -> dict[str, Any]:
    """One of two processes is killed; then the run continues."""
    flags = ("--snapshot-images", "16")
    codes = [start(2, "killed", *flags, strike=in_step(5, 1, signal.SIGKILL)), start(2, "killed", *flags)]
    return {"codes": codes}


def refused() -> dict[str, Any]:
    """A batch that they cannot share, and processes that would train different things."""
    codes = [start(2, "uneven", "--batch", "5")]

    def other(rank: int) -> None:
        if rank == 1:
            FLAGS[FLAGS.index("--batch") + 1] = "16"

    codes.append(start(2, "other", strike=other))
    return {"codes": codes}


SCENARIOS = {scenario.__name__: scenario for scenario in (equal, resumed, combined, died, refused)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    os.chdir(folder)
    # steps that follow a policy: which one is the same for all processes
    spec = SPEC.replace("flip: true", "flip: true, drop: {policy: halfway, rate: 0.5}")
    Path("tiny.yaml").write_text(spec, encoding="utf-8")
    labelled_zip(Path("data.zip"))
    for name in sys.argv[2:]:
        Path(f"{name}.json").write_text(json.dumps(SCENARIOS[name]()), encoding="utf-8")
