"""A git repository, read through git itself: objects alone, no checkout, no shell, output bounded."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from types import TracebackType

from legoc_runtime.errors import UsageError

MAX_OUTPUT_BYTES = 64 * 2**20
SECONDS = 60.0

# no program that a repository's own settings name, no prompt, no lock
_SAFE = ("-c", "core.fsmonitor=false", "--no-pager")
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}

REGULAR_MODES = frozenset({"100644", "100755"})
LINK_MODE = "120000"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit: its mode, and the id of its contents."""

    mode: str
    object: str


class Repository:
    """The repository around a folder; a context, since it keeps one process of git open.

    Attributes:
        root: its top folder.
        prefix: where in it the folder lies, with a slash at its end; empty at the top.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        code, out, errors = self._run("rev-parse", "--show-toplevel", "--show-prefix")
        where = os.fsdecode(out).splitlines()
        if b"not a git repository" in errors or (code == 0 and not any(where[:1])):
            raise UsageError(f"{folder.absolute()} is in no working tree of git", help="run it where the specs are")
        self._check("rev-parse", code, errors)
        self.root, self.prefix = Path(where[0]), where[1] if len(where) > 1 else ""
        self._reader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Repository:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            assert self._reader.stdin is not None
            assert self._reader.stdout is not None
            self._reader.stdin.close()
            self._reader.stdout.close()
            self._reader.wait()

    def commit(self, revision: str) -> str | None:
        """The id of the commit that a name stands for; None where there is none."""
        code, out, _ = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return out.decode().strip() or None if code == 0 else None

    def merge_base(self, one: str, other: str) -> str | None:
        """The commit that two histories have in common; None where there is none, or too little was fetched."""
        code, out, _ = self._run("merge-base", one, other)
        return out.decode().strip() or None if code == 0 else None

    def files(self, commit: str) -> dict[str, Entry]:
        """Every file of a commit by its path from the top."""
        found: dict[str, Entry] = {}
        for line in self._records("ls-tree", "-r", "-z", "--full-tree", commit):
            described, _, path = line.partition("\t")
            mode, kind, object = described.split(" ")
            if kind == "blob":
                found[path] = Entry(mode, object)
        return found

    def working_files(self) -> list[str]:
        """Paths from the top of the files that are there now, those that git ignores left out."""
        listed = self._records(
            "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name", "--", ":/"
        )
        return [path for path in dict.fromkeys(listed) if (self.root / path).is_file()]

    def renames(self, before: str, after: str | None, tops: Sequence[str] = ()) -> dict[str, str]:
        """Path after -> path before, for files that git takes for renamed.

        Args:
            before: a commit.
            after: another; None is what is there now.
            tops: files, folders and patterns from the top, among which alone renames are looked for; none for all.
        """
        commits = [before] if after is None else [before, after]
        options = ("--no-ext-diff", "--no-textconv", "--name-status", "-z", "-M", "--diff-filter=R", "--no-relative")
        fields = iter(self._records("diff", *options, *commits, "--", *(f":(top){top}" for top in tops)))
        return {new: old for _, old, new in zip(fields, fields, fields, strict=True)}

    def read(self, object: str, most: int) -> bytes | None:
        """The contents of an object, at most so many bytes and one more; None where the repository does not have it."""
        if self._reader is None:
            self._reader = self._open("cat-file", "--batch")
        stdin, stdout = self._reader.stdin, self._reader.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(f"{object}\n".encode())
            stdin.flush()
        except OSError as error:
            raise UsageError(f"git cat-file failed: {error.strerror}") from error
        header = stdout.readline().decode().split()
        if len(header) != 3 or header[1] != "blob":
            return None
        size = int(header[2])
        data = stdout.read(min(size, most + 1))
        left = size - len(data)
        while left > 0:
            left -= len(stdout.read(min(left, 2**20)))
        stdout.read(1)  # the line's end
        return data

    def _records(self, *arguments: str) -> list[str]:
        return os.fsdecode(self._checked(*arguments)).split("\0")[:-1]

    def _checked(self, *arguments: str) -> bytes:
        code, out, errors = self._run(*arguments)
        self._check(arguments[0], code, errors)
        return out

    @staticmethod
    def _check(command: str, code: int, errors: bytes) -> None:
        if code != 0:
            said = errors.decode(errors="replace").strip().splitlines()
            raise UsageError(f"git {command} failed: {said[-1] if said else f'exit code {code}'}")

    def _run(self, *arguments: str) -> tuple[int, bytes, bytes]:
        with tempfile.TemporaryFile() as errors, self._open(*arguments, stderr=errors.fileno()) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdin.close()
            timer = Timer(SECONDS, process.kill)
            timer.start()
            try:
                out = process.stdout.read(MAX_OUTPUT_BYTES + 1)
            finally:
                timer.cancel()
            if len(out) > MAX_OUTPUT_BYTES:
                process.kill()
                raise UsageError(f"git {arguments[0]} gives more than {MAX_OUTPUT_BYTES:,} bytes")
            code = process.wait()
            errors.seek(0)
            return code, out, errors.read(4096)

    def _open(self, *arguments: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        command: Sequence[str] = ("git", "-C", str(self._folder), *_SAFE, *arguments)
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **_ENVIRONMENT},
            )
        except OSError as error:
            raise UsageError(
                f"git cannot be run: {error.strerror}", help="install git, or compare two files"
            ) from error
