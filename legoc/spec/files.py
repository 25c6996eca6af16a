"""Where the files of a spec are read from: the disk, or one state of a repository that is not checked out."""

from __future__ import annotations

import os
import stat
from typing import Protocol

from legoc.codes import report
from legoc.diagnostics import Diagnostic
from legoc.source import SourceFile, Span
from legoc.spec.read import read_source


class Files(Protocol):
    """A tree of files; paths are as they would be written from where the checked file's own path begins."""

    def read(self, path: str) -> SourceFile | Diagnostic:
        """The text of a file, called by its path; or the diagnostic that says why there is none."""
        ...

    def real(self, path: str) -> str:
        """One name for a file, whatever links and detours lead to it."""
        ...

    def exists(self, path: str) -> bool:
        """Whether anything is there."""
        ...

    def specs_beside(self, path: str) -> list[str]:
        """Names of the YAML files in the folder of a path, sorted."""
        ...


class Disk:
    """The files that are there now."""

    def read(self, path: str) -> SourceFile | Diagnostic:
        """The text of a file; LG001 for what is no regular file, since a pipe would wait for ever."""
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            return read_source(path)  # which says what is wrong
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return read_source(path)
        return report("LG001", "this is no regular file", Span(SourceFile(path, ""), 0, 0), help="name a spec file")

    def real(self, path: str) -> str:
        """The path with symbolic links resolved."""
        try:
            return os.path.realpath(path)
        except (OSError, ValueError):
            return path  # no name that a file can have; reading it says so

    def exists(self, path: str) -> bool:
        """Whether anything is there; a link that leads nowhere is."""
        return os.path.lexists(path)

    def specs_beside(self, path: str) -> list[str]:
        """Names of the YAML files in the folder of a path, sorted."""
        try:
            return sorted(name for name in os.listdir(os.path.dirname(path) or ".") if name.endswith((".yaml", ".yml")))
        except (OSError, ValueError):
            return []


DISK = Disk()
