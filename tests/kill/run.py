"""Kill a training again and again, and see that it ends as if nothing had happened.

    python -m tests.kill.run --kills 60 --seed 0
    python -m tests.kill.run --kills 20 --seed 0 --processes 2       # which share weights; one of them is struck

A small run is trained once without a break. Then the same run is started, struck, and started again by the same
command, until it has been struck so many times; a run that finishes meanwhile is compared and the next one begun. It is
struck in four ways, drawn from the seed:

- `moment`: SIGKILL after a random time, wherever it is then.
- `writing`: SIGKILL while a checkpoint is being written, a random time after its draft appeared.
- `removing`: SIGKILL while an old checkpoint is being removed.
- `full`: the disk takes no more than a random part of the next checkpoint; the run must end by itself with exit code 3.

After every strike each checkpoint that is there must have its checksums and none may be lost but by its turn; at the
end weights, averages, optimizer and metrics must be those of the run without a break, bit for bit.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch

from legoc_runtime.checkpoint import checkpoints, verify
from legoc_runtime.checkpoint.layout import CHECKPOINTS
from tests.image_sets import labelled_zip
from tests.kill.disk import Disk, open_disk
from tests.kill.same import differences
from tests.training.processes import free_port
from tests.training.sharded import LATE
from tests.training.tiny import SPEC

WAYS = ("moment", "moment", "writing", "writing", "removing", "full")
RECIPE = "warmup_images: 16, flip: true, log_images: 12, snapshot_images: 16, ema: [0.9, 0.5]"
POLL_SECONDS = 0.0005
PATIENCE_SECONDS = 120.0


class UnsoundError(Exception):
    """Something was lost, or is not what it would have been."""


@dataclass
class Report:
    """What happened.

    Attributes:
        struck: way -> times.
        found: what a strike left behind -> times.
        runs: runs that finished and were the same.
        seconds: how long all of it took.
    """

    struck: Counter[str] = field(default_factory=Counter[str])
    found: Counter[str] = field(default_factory=Counter[str])
    runs: int = 0
    seconds: float = 0.0


class Trial:
    """One folder with a spec, images and a disk that runs are struck on."""

    def __init__(self, folder: Path, seed: int, images: int, processes: int = 1) -> None:
        self.folder = folder
        self.processes = processes
        self._codes: dict[int, int] = {}
        self.random = random.Random(seed)
        before, _, _ = SPEC.partition("train:")
        (folder / "tiny.yaml").write_text(
            f"{before}train: {{batch: 4, images: {images}, {RECIPE}}}\n", encoding="utf-8"
        )
        labelled_zip(folder / "data.zip")
        self.straight = folder / "straight"
        started = time.monotonic()
        if any(self.ended(self.start(self.straight))):
            raise UnsoundError(f"the run without a break failed:\n{self.log()}")
        self.seconds = time.monotonic() - started
        sizes = [path.stat().st_size for path in checkpoints(self.straight)[-1].iterdir()]
        self.bytes, self.files = sum(sizes), len(sizes)

    def start(self, run: Path, file_limit: int | None = None) -> list[int]:
        """Start the command in processes of its own, which have torch already; their ids."""
        port, children = free_port(), list[int]()
        for rank in range(self.processes):
            if child := os.fork():
                children.append(child)
                continue
            try:
                if self.processes > 1:
                    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": self.processes, "MASTER_PORT": port}
                    os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
                os._exit(_train(self.folder, run, file_limit, shared=self.processes > 1))
            finally:
                os._exit(70)
        return children

    def ended(self, children: list[int]) -> list[int]:
        """Wait for processes; the exit code of each, or minus the signal that ended it."""
        for child in children:
            if child not in self._codes:
                self._codes[child] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return [self._codes.pop(child) for child in children]

    def _done(self, children: list[int]) -> bool:
        """Whether all of them ended by themselves."""
        for child in children:
            if child not in self._codes:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    self._codes[child] = os.waitstatus_to_exitcode(status)
        return all(child in self._codes for child in children)

    def log(self) -> str:
        """What the commands said."""
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    def strike(self, way: str, run: Path, disk: Disk) -> str:
        """Start the run and strike it. Returns what was found, or `finished` where it ended before."""
        if way == "full":
            part = self.random.uniform(0.05, 1.0)
            limit = disk.leave(int(part * self.bytes), run)
            codes = self.ended(self.start(run, limit))
            disk.free()
            if not {*codes} <= {0, 3}:
                raise UnsoundError(f"on a full disk the command ended with {codes}:\n{self.log()[-2000:]}")
            return "ended with exit code 3" if 3 in codes else "finished"
        children = self.start(run)
        victim = self.random.choice(children) if len(children) > 1 else children[0]
        if not self._wait(children, way, run):
            if any(codes := self.ended(children)):
                raise UnsoundError(f"the command ended with {codes} by itself:\n{self.log()[-2000:]}")
            return "finished"
        if victim not in self._codes:
            os.kill(victim, signal.SIGKILL)
        codes = self.ended(children)
        others = {code for child, code in zip(children, codes, strict=True) if child != victim}
        if not others <= {0, 3}:
            raise UnsoundError(f"when another was killed the command ended with {codes}:\n{self.log()[-2000:]}")
        return _left(run, self.files) if -signal.SIGKILL in codes else "finished"

    def _wait(self, children: list[int], way: str, run: Path) -> bool:
        """Wait for the moment to strike; whether it came before the processes ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        moment = time.monotonic() + self.random.uniform(0, 0.4 * self.seconds)
        skipped = self.random.randrange(4)  # drafts to let pass
        seen: set[str] = set()
        while time.monotonic() < deadline:
            if self._done(children):
                return False
            if way == "moment":
                if time.monotonic() >= moment:
                    return True
            else:
                seen |= set(_drafts(run, way))
                if len(seen) > skipped:
                    time.sleep(self.random.uniform(0, 0.03) if way == "writing" else 0)
                    return True
            time.sleep(POLL_SECONDS)
        raise UnsoundError(f"nothing to strike in {PATIENCE_SECONDS:g} seconds")


def _train(folder: Path, run: Path, file_limit: int | None, *, shared: bool) -> int:
    from legoc.__main__ import main
    from tests.kill.disk import limit_files

    os.chdir(folder)
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if file_limit is not None:
        limit_files(file_limit)
    flags = ["--data", "data.zip", "--device", "cpu", "--backend", "eager", "--out", str(run)]
    return main(["train", "tiny.yaml", *flags, *(("--set", "train.sharding=fsdp2", "--quiet") if shared else ())])


def _drafts(run: Path, way: str) -> list[str]:
    try:
        return [name for name in os.listdir(run / CHECKPOINTS) if name.startswith(f".{way}-")]
    except FileNotFoundError:
        return []


def _left(run: Path, files: int) -> str:
    """What a killed process left."""
    root = run / CHECKPOINTS
    for draft in _drafts(run, "writing"):
        return f"a draft with {len(list((root / draft).iterdir()))} of {files} files"
    return "a checkpoint half removed" if _drafts(run, "removing") else "whole checkpoints alone"


def sound(run: Path, images: int) -> int:
    """Every checkpoint has its checksums, and the newest has seen `images` or more; returns what it has seen."""
    found = checkpoints(run)
    for checkpoint in found:
        verify(checkpoint)
    newest = int(found[-1].name) if found else 0
    if newest < images:
        raise UnsoundError(f"the checkpoint at {images} images is gone, the newest has {newest}")
    return newest


def trial(folder: Path, kills: int, seed: int, disk: Disk, images_in_all: int, processes: int = 1) -> Report:
    """Strike runs so many times.

    Raises:
        UnsoundError: something was lost, or a run did not end as the one without a break.
    """
    begun, report, of = time.monotonic(), Report(), Trial(folder, seed, images_in_all, processes)
    run, images = disk.path / "run-0", 0
    while sum(report.struck.values()) < kills:
        way = of.random.choice(WAYS)
        what = of.strike(way, run, disk)
        images = sound(run, images)
        if what != "finished":
            report.struck[way] += 1
            report.found[what] += 1
            continue
        run, images = _compared(run, of, report, disk), 0
    if checkpoints(run):
        if any(codes := of.ended(of.start(run))):
            raise UnsoundError(f"the last start ended with {codes}:\n{of.log()[-2000:]}")
        _compared(run, of, report, disk)
    report.seconds = time.monotonic() - begun
    return report


def _compared(run: Path, of: Trial, report: Report, disk: Disk) -> Path:
    if found := differences(of.straight, run):
        raise UnsoundError(f"{run} is not the run without a break: {found}\n{of.log()[-2000:]}")
    shutil.rmtree(run)
    report.runs += 1
    return disk.path / f"run-{report.runs}"


def main(arguments: list[str] | None = None) -> int:
    """Run the trial and say how it went; 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="times that a run is struck")
    parser.add_argument("--seed", type=int, default=0, help="of the ways and moments")
    parser.add_argument("--images", type=int, default=800, help="that the run trains on")
    parser.add_argument("--processes", type=int, default=1, help="that train together; two or more share weights")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in LATE if given.processes > 1 else ():
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="kill-") as name, open_disk(Path(name) / "disk") as disk:
        try:
            report = trial(Path(name), given.kills, given.seed, disk, given.images, given.processes)
        except UnsoundError as error:
            sys.stderr.write(f"UNSOUND (seed {given.seed}): {error}\n")
            return 1
    ways = ", ".join(f"{way} {count}" for way, count in sorted(report.struck.items()))
    left = "; ".join(f"{what}: {count}" for what, count in sorted(report.found.items()))
    sys.stdout.write(
        f"{sum(report.struck.values())} strikes (seed {given.seed}): {ways}\n"
        f"the disk: {disk.kind}\nfound after: {left}\n"
        f"{report.runs} runs finished, each the run without a break bit for bit; {report.seconds:.0f} s\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
