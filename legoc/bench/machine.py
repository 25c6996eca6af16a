"""What a measurement ran on: the machine, the versions, the commit, how busy it was."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from legoc.version import __version__

CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a measurement was taken.

    Attributes:
        date: UTC, YYYY-MM-DD.
        processor: its model.
        cores: logical cores.
        threads: threads that torch uses.
        memory_bytes: main memory, or None where the system does not say.
        gpu: its name, or None where none was used.
        load: load average over a minute when it began, or None.
        python: version.
        torch: version.
        legoc: version.
        diffusers: version, or None where it is not installed.
        commit: of the sources, `unknown` outside a checkout; ends with ` and changes` where files differ from it.
    """

    date: str
    processor: str
    cores: int
    threads: int
    memory_bytes: int | None
    gpu: str | None
    load: float | None
    python: str
    torch: str
    legoc: str
    diffusers: str | None
    commit: str


def this_machine(device: torch.device) -> Machine:
    """The machine that this runs on."""
    return Machine(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        processor=_processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory_bytes=_memory_bytes(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        python=platform.python_version(),
        torch=torch.__version__,
        legoc=__version__,
        diffusers=_installed("diffusers"),
        commit=_commit(),
    )


def _processor() -> str:
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    if commit is None:
        return "unknown"
    return commit + (" and changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    """What git says of the folder of these sources; None outside a checkout or without git."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None  # an installed package may lie inside somebody else's checkout
    try:
        found = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None
