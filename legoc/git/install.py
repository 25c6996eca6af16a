"""The drivers put into git's settings and the attributes of files, and taken out again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from legoc.git.attributes import ANY_SPECS, SPEC_DRIVER, WEIGHTS_DRIVER, added, lines_for, patterns_of, removed
from legoc.review.git import Repository
from legoc.source import SourceFile
from legoc.spec.find import SUFFIXES, is_whole
from legoc.spec.read import read_source
from legoc_runtime.errors import RunError, UsageError

_WORD = 'echo "legoc cannot be run, so this is shown without it: $1" >&2'


@dataclass(frozen=True)
class Target:
    """Where settings and attributes go.

    Attributes:
        scope: `--local` or `--global`, as `git config` takes it.
        attributes: the file of attributes.
        name: what people call the settings.
    """

    scope: str
    attributes: Path
    name: str


def commands() -> dict[str, str]:
    """Key of git's settings -> command. Each shows the file in a plain way where legoc cannot be run any more."""
    # -P: a folder `legoc` in the repository that is looked at must never be run
    legoc = f"{shlex.quote(sys.executable)} -P -m legoc git"
    patch = 'git --no-pager diff --no-index --no-ext-diff --no-textconv -- "$2" "$5"'
    return {
        f"diff.{SPEC_DRIVER}.textconv": _shell(f'{legoc} textconv "$1" || {{ {_WORD}; cat -- "$1"; }}'),
        f"diff.{SPEC_DRIVER}.command": _shell(f'{legoc} patch "$@" || {{ {_WORD}; {patch}; true; }}'),
        f"diff.{WEIGHTS_DRIVER}.textconv": _shell(f'{legoc} textconv "$1" || {{ {_WORD}; git hash-object -- "$1"; }}'),
    }


def find_target(*, everywhere: bool) -> Target:
    """The settings of this repository, or those of all repositories of this user.

    Raises:
        UsageError: this is no working tree of git, or git is not there.
    """
    if not everywhere:
        with Repository(Path()) as repository:
            return Target("--local", repository.root / ".gitattributes", "the settings of this repository")
    chosen = _git("config", "--global", "--path", "--get", "core.attributesFile").stdout.strip()
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Target("--global", Path(chosen or f"{home}/git/attributes"), "your settings of git")


def find_patterns(*, everywhere: bool) -> list[str]:
    """Patterns for specs: the folders of this repository that hold some, or a folder `specs` in any."""
    if everywhere:
        return list(ANY_SPECS)
    with Repository(Path()) as repository:
        names = [path for path in repository.working_files() if path.endswith(SUFFIXES)]
        found = patterns_of(name for name in names if _is_spec(repository.root / name))
    return found or list(ANY_SPECS)


def install(target: Target, patterns: Sequence[str], *, dry_run: bool) -> Iterator[str]:
    """Put settings and lines where they are not yet; says each, once it is there.

    Raises:
        UsageError: git refuses a setting.
        RunError: the file of attributes cannot be written.
    """
    for key, value in commands().items():
        is_there = _git("config", target.scope, "--get", key).stdout == f"{value}\n"
        if not (is_there or dry_run):
            _checked("config", target.scope, "--replace-all", key, value)
        yield f"{target.name}: {key}{' (there already)' if is_there else ''}"
    before = _read(target.attributes)
    after = added(before, lines_for(patterns))
    if after != before and not dry_run:
        _write(target.attributes, after)
    for line in lines_for(patterns):
        is_there = added(before, [line]) == before
        yield f"{target.attributes}: {line}{' (there already)' if is_there else ''}"


def uninstall(target: Target, *, dry_run: bool) -> Iterator[str]:
    """Take settings and lines out; says each, once it is gone.

    Raises:
        UsageError: git refuses.
        RunError: the file of attributes cannot be written.
    """
    for driver in (SPEC_DRIVER, WEIGHTS_DRIVER):
        if _git("config", target.scope, "--get-regexp", f"^diff\\.{driver}\\.").returncode == 0:
            if not dry_run:
                _checked("config", target.scope, "--remove-section", f"diff.{driver}")
            yield f"{target.name}: diff.{driver} is gone"
    before = _read(target.attributes)
    after = removed(before)
    if after == before:
        return
    if not dry_run:
        _write(target.attributes, after)
    kept = after.splitlines()
    for line in before.splitlines():
        if line not in kept:
            yield f"{target.attributes}: {line.decode(errors='replace').strip()} is gone"


def _shell(script: str) -> str:
    return f"sh -c {shlex.quote(script)} legoc"


def _is_spec(path: Path) -> bool:
    source = read_source(path)
    return isinstance(source, SourceFile) and is_whole(source.text)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; a file of which nothing is left goes."""
    draft = path.with_name(f".{path.name}.legoc")
    try:
        if not data:
            path.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(data)
        if path.exists():
            draft.chmod(path.stat().st_mode & 0o777)
        os.replace(draft, path.resolve())
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunError(f"{path} cannot be written: {error.strerror}", help="check its permissions") from error


def _checked(*arguments: str) -> None:
    found = _git(*arguments)
    if found.returncode != 0:
        said = found.stderr.strip().splitlines()
        raise UsageError(f"git {arguments[0]} failed: {said[-1] if said else f'exit code {found.returncode}'}")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise UsageError(f"git cannot be run: {error.strerror}", help="install git") from error
