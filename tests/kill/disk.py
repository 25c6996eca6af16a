"""A disk that can be full: a small tmpfs where it may be mounted, else a limit on the size of files."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOMY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Disk:
    """Where runs are written.

    Attributes:
        path: the folder.
        kind: what it is, in words.
        mounted: whether it is a file system of its own.
    """

    path: Path
    kind: str
    mounted: bool

    def leave(self, room: int, run: Path) -> int | None:
        """Leave so many bytes free. Where nothing can be mounted: a limit on the size of files, which is returned."""
        if self.mounted:
            found = os.statvfs(self.path)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            self._resize(used + room)
            return None
        largest = max((path.stat().st_size for path in run.rglob("*.safetensors")), default=2 * room)
        return min(room, largest - 1)

    def free(self) -> None:
        """Make room again."""
        if self.mounted:
            self._resize(ROOMY_BYTES)

    def _resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)


@contextmanager
def open_disk(path: Path) -> Generator[Disk]:
    """A disk at a path; it is gone afterwards."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOMY_BYTES}", "tmpfs", path]
    if os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0:
        try:
            yield Disk(path, "a tmpfs whose size is set to what leaves too little room", mounted=True)
        finally:
            subprocess.run(["umount", path], check=True)
    else:
        yield Disk(path, "a limit on the size of files, since no tmpfs may be mounted here", mounted=False)


def limit_files(size: int) -> None:
    """Have this process write no file beyond `size` bytes: it gets an error, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
