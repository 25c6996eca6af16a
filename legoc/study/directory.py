"""The directory of a study: what was asked for, and every point, kept as soon as it is measured."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

from legoc_runtime.contract import codec
from legoc_runtime.errors import RunError, UsageError

STUDY_VERSION = 1
RECORD_NAME, TABLE_NAME, PLOT_NAME = "study.json", "table.md", "plot.svg"
LOCK_NAME = ".lock"
OTHER_OUT = "choose another --out, or ask for what its study.json says"


class Point(Protocol):
    """A measured point: a frozen dataclass that `contract.codec` writes and reads."""

    @property
    def key(self) -> str:
        """Which point: the same wherever it is measured again."""
        ...


P = TypeVar("P", bound=Point)


class Study(Generic[P]):
    """A study under way.

    Attributes:
        path: its directory.
        kind: `skip`, `refine` or `stack`.
        request: what every point depends on; only equal requests share a directory.
        points: key -> point, in the order in which they were measured.
    """

    def __init__(self, path: Path, kind: str, request: Mapping[str, Any], points: Mapping[str, P]) -> None:
        self.path, self.kind = path, kind
        self.request = _as_json(request)
        self.points = dict(points)

    def add(self, point: P) -> None:
        """Keep a point, on disk too.

        Raises:
            RunError: the directory cannot be written.
        """
        self.points[point.key] = point
        self.write(RECORD_NAME, self.to_json(tuple(self.points)))

    def to_json(self, keys: Sequence[str], notes: Sequence[str] = ()) -> str:
        """Some points as versioned JSON; ends with a newline.

        Args:
            keys: which points, in their order.
            notes: what whoever reads the numbers has to know.
        """
        body = {
            "study_version": STUDY_VERSION,
            "kind": self.kind,
            "request": self.request,
            "notes": list(notes),
            "points": [codec.encode(self.points[key]) for key in keys],
        }
        return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, name: str, text: str) -> Path:
        """Write a file of the study, whole or not at all; its path.

        Raises:
            RunError: it cannot be written.
        """
        path = self.path / name
        partial = path.with_name(f".{name}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}", help="choose another --out") from error
        return path


def default_name(kind: str, request: Mapping[str, Any]) -> str:
    """The name of a study's directory: another request has another one."""
    text = json.dumps(_as_json(request), sort_keys=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@contextmanager
def open_study(path: Path, kind: str, request: Mapping[str, Any], point: type[P]) -> Generator[Study[P]]:
    """A study's directory, in the hands of this process alone, with the points that are there.

    Args:
        path: made if it is not there.
        kind: which study.
        request: what every point depends on.
        point: their type.

    Raises:
        UsageError: it holds anything else, or another process is at it.
        RunError: it cannot be made, or its record cannot be read.
    """
    _refuse_others(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"{path} cannot be used: {error.strerror}", help="choose another --out") from error
    try:
        try:
            # the system lets go of it however this process ends
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another process is at work in {path}", help="wait, or choose another --out") from error
        study = Study(path, kind, request, _read(path / RECORD_NAME, kind, request, point))
        if not study.points:
            study.write(RECORD_NAME, study.to_json(()))  # whose directory it is, before anything is measured
        yield study
    finally:
        os.close(descriptor)


def _refuse_others(path: Path) -> None:
    """Refuse what holds no study, before a file of ours lies in it."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is not a directory", help="choose another --out")
    if not path.is_dir() or (path / RECORD_NAME).is_file():
        return
    ours = (LOCK_NAME, f".{RECORD_NAME}.partial")
    if others := [child.name for child in path.iterdir() if child.name not in ours]:
        raise UsageError(f"{path} is no study and holds other files ({others[0]})", help="choose another --out")


def _read(path: Path, kind: str, request: Mapping[str, Any], point: type[P]) -> dict[str, P]:
    try:
        data: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}", help=f"remove {path.parent} to measure again") from error
    body = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if body.get("study_version") != STUDY_VERSION:
        raise RunError(f"{path} is of another version of legoc", help="choose another --out")
    if body.get("kind") != kind:
        raise UsageError(f"{path.parent} holds another study: {body.get('kind')}", help="choose another --out")
    before, now = body.get("request"), _as_json(request)
    if before != now:
        raise UsageError(f"{path.parent} holds a study of other settings: {_differing(before, now)}", help=OTHER_OUT)
    try:
        found = codec.decode(tuple[point, ...], body.get("points"), where=f"{path}: points")
    except RunError as error:
        raise RunError(str(error), help=f"remove {path.parent} to measure again") from error
    return {one.key: one for one in found}


def _differing(before: object, now: Mapping[str, Any]) -> str:
    """The settings that differ, with their values where those are short."""
    there = cast("dict[str, Any]", before) if isinstance(before, dict) else {}
    said: list[str] = []
    for name in {**there, **now}:
        if name not in there or name not in now or there[name] != now[name]:
            texts = [json.dumps(side.get(name), ensure_ascii=False) for side in (there, now)]
            said.append(f"{name} {texts[0]}, not {texts[1]}" if max(map(len, texts)) <= 24 else name)
    return ", ".join(said)


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Data as it would come back from a file."""
    return cast("dict[str, Any]", json.loads(json.dumps(value, allow_nan=False)))
