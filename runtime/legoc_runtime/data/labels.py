"""Classes of images: from `dataset.json` (StyleGAN, EDM) or from the names of folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

from legoc_runtime.errors import RunError

INDEX_NAME = "dataset.json"
MAX_INDEX_BYTES = 512 * 2**20

_FORM = 'it should read {"labels": [["FILE", CLASS], ...]} or {"labels": null}'


@dataclass(frozen=True, slots=True)
class Labels:
    """Classes of a set's images.

    Attributes:
        classes: class of every image, 0 or more, in the order of the names; None when the set has no labels.
        names: names of the classes, or None where the set does not tell.
        why_absent: why there are no labels; empty when there are.
    """

    classes: tuple[int, ...] | None
    names: tuple[str, ...] | None = None
    why_absent: str = ""

    @staticmethod
    def absent(why: str) -> Labels:
        """No labels, and the reason."""
        return Labels(None, None, why)


def parse_index(text: bytes, images: Sequence[str], where: str) -> Labels:
    """The labels in a `dataset.json`.

    Args:
        text: its bytes.
        images: names of the images, in order.
        where: how errors call it.

    Raises:
        RunError: not JSON, not of the form, a label for a file that is not there, or an image without one.
    """
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{where} is not JSON: {error}", help=_FORM) from error
    if not isinstance(data, dict):
        raise RunError(f"{where} is not a mapping", help=_FORM)
    index = cast("dict[str, object]", data)
    entries = index.get("labels")
    if entries is None:
        return Labels.absent(f"{INDEX_NAME} has no labels")
    by_name = _entries(entries, where)
    if unknown := by_name.keys() - set(images):
        raise RunError(f"{where} labels {min(unknown)}, which is not there", help="make the set again")
    if missing := next((name for name in images if name not in by_name), None):
        raise RunError(f"{where} has no label for {missing}", help="label every image, or none at all (`labels: null`)")
    return Labels(tuple(by_name[name] for name in images), _class_names(index.get("class_names"), where))


def _entries(entries: object, where: str) -> dict[str, int]:
    if not isinstance(entries, list):
        raise RunError(f"{where}: `labels` is not a list", help=_FORM)
    by_name: dict[str, int] = {}
    for i, entry in enumerate(cast("list[object]", entries)):
        match entry:
            # True is an int to Python, not a class
            case [str(name), int(label)] if not isinstance(label, bool) and label >= 0:
                if name in by_name:
                    raise RunError(f"{where} labels {name} more than once", help="make the set again")
                by_name[name] = label
            case _:
                raise RunError(f"{where}: `labels[{i}]` is not [file, class] but {entry!r:.60}", help=_FORM)
    return by_name


def _class_names(names: object, where: str) -> tuple[str, ...] | None:
    if names is None:
        return None
    items = cast("list[object]", names) if isinstance(names, list) else [None]
    if not all(isinstance(item, str) for item in items):
        raise RunError(f"{where}: `class_names` is not a list of names", help="leave it out, or mend it")
    return tuple(cast("list[str]", items))


def labels_from_folders(root: Path, images: Sequence[str]) -> Labels:
    """The first folder of every name is its class; classes are numbered in the order of their names.

    Raises:
        RunError: some images lie in class folders and some beside them, or a class folder holds none.
    """
    top = [PurePosixPath(name).parts[0] if "/" in name else None for name in images]
    if all(folder is None for folder in top):
        return Labels.absent("it is a flat folder")
    if None in top:
        stray = images[top.index(None)]
        raise RunError(
            f"{root} holds class folders, and {stray} beside them",
            help="put every image in a class folder, or all of them in one flat folder",
        )
    names = sorted({folder for folder in top if folder is not None})
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if folder.name not in names and folder.name != "__MACOSX":
            raise RunError(f"class folder {folder} holds no images", help="fill it, or take it away")
    number = {name: i for i, name in enumerate(names)}
    return Labels(tuple(number[folder] for folder in top if folder is not None), tuple(names))
