"""What may be kept of a directory of samples: the same request, or for `--resume` the same settings of other seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from legoc_runtime.contract.request import seeds_text
from legoc_runtime.errors import UsageError

_OF_THE_SEEDS = ("seeds", "classes")
"""What a request says seed by seed; the rest is the same for all pictures."""


def check_same(path: Path, found: Mapping[str, Any] | None, request: Mapping[str, Any]) -> None:
    """Refuse a directory that holds anything but samples of this request.

    Raises:
        UsageError: it does.
    """
    if found is None:
        raise UsageError(f"{path} is not empty and holds no samples", help="choose another --out, or pass --overwrite")
    if found.get("request") != _as_json(request):
        raise UsageError(
            f"{path} holds samples of another request",
            help="choose another --out, or replace them with --overwrite",
        )


def check_resumable(path: Path, found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> None:
    """Refuse to go on with a directory whose pictures are not a part of what is wanted.

    Args:
        path: the directory.
        found: its record, or None.
        wanted: the record of the set that is asked for, as `record.half_made_record` gives it.

    Raises:
        UsageError: naming what differs.
    """
    if found is None:
        raise UsageError(f"{path} is not empty and holds no samples to go on with", help="choose another --out")
    before, now = _settings(found), _settings(_as_json(wanted))
    differing = [name for name in {**before, **now} if _differs(before, now, name)]
    if differing:
        said = ", ".join(_words(before, now, name) for name in differing)
        raise UsageError(
            f"{path} holds samples of other settings: {said}",
            help="choose another --out, or ask for the settings in its samples.json",
        )
    there, asked = _classes(found), _classes(wanted)
    if lost := [seed for seed in there if seed not in asked]:
        raise UsageError(
            f"{path} has {len(lost)} pictures of seeds that are not asked for, {lost[0]} first",
            help=f"ask for those there too: --seeds {seeds_text(sorted({*there, *asked}))[:200]}",
        )
    if moved := [seed for seed, label in there.items() if asked[seed] != label]:
        raise UsageError(
            f"seed {moved[0]} shows class {there[moved[0]]} in {path}; class {asked[moved[0]]} is asked for",
            help="choose another --out, or the --classes of its samples.json",
        )


def is_finished(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a set is complete and has every seed that is wanted."""
    return found.get("complete") is True and _classes(found).keys() == _classes(wanted).keys()


def file_names(found: Mapping[str, Any] | None) -> list[str]:
    """The files that a record lists; only plain names, so that it can remove nothing elsewhere."""
    record = found or {}
    names = [str(picture.get("file", "")) for picture in _pictures(record)]
    return [*filter(_is_plain, names), *npz_names(record)]


def npz_names(found: Mapping[str, Any] | None) -> list[str]:
    """ADM's file of samples, where a record lists one under a plain name."""
    return [*filter(_is_plain, [str((found or {}).get("npz", ""))])]


def _is_plain(name: str) -> bool:
    return bool(name) and Path(name).name == name


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """The request of a record without its seeds, settings one by one."""
    request = cast("dict[str, Any]", record.get("request", {}))
    flat = {name: value for name, value in request.items() if name not in (*_OF_THE_SEEDS, "settings")}
    return {**flat, **cast("dict[str, Any]", request.get("settings", {}))}


def _differs(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> bool:
    return name not in before or name not in now or before[name] != now[name]


def _words(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> str:
    texts = [json.dumps(side.get(name)) for side in (before, now)]
    return f"{name} {texts[0]}, not {texts[1]}" if max(map(len, texts)) <= 24 else name


def _classes(record: Mapping[str, Any]) -> dict[int, int | None]:
    return {int(picture["seed"]): picture["class"] for picture in _pictures(record)}


def _pictures(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", record.get("pictures", []))


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Data as it would come back from a file."""
    return cast("dict[str, Any]", json.loads(json.dumps(value)))
