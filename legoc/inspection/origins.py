"""Where a migrated run, checkpoint or file was taken from: `legoc migrate` writes it into all three."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from legoc.inspection.report import Origin

MIGRATION_NAME = "migration.json"
"""What a migration did, in the run that came of it."""

HEADER_KEY = "legoc.migrated_from"
STATE_KEY = "migrated_from"
STARTED_KEY = "started_from"


def origin_of(data: object) -> Origin:
    """The origin that a state, a record or a header tells of.

    Raises:
        ValueError: it tells of none.
    """
    said = cast("dict[str, object]", data) if isinstance(data, dict) else dict[str, object]()
    hash, images, path = said.get("spec_hash"), said.get("images"), said.get("path")
    if not isinstance(hash, str) or not isinstance(images, int) or not isinstance(path, str | None):
        raise ValueError("what it was migrated from makes no sense")
    return Origin(hash, images, path)


def origin_of_state(state: Mapping[str, Any]) -> Origin | None:
    """Where a checkpoint was taken from, by its state; None where it was trained as it is.

    Raises:
        ValueError: the state makes no sense.
    """
    return origin_of(state[STATE_KEY]) if state.get(STATE_KEY) is not None else None


def started_from(state: Mapping[str, Any]) -> str | None:
    """The file whose weights a run began with and the start of its SHA-256, by the state of a checkpoint, or None.

    Raises:
        ValueError: the state makes no sense.
    """
    data: object = state.get(STARTED_KEY)
    if data is None:
        return None
    said = cast("dict[str, object]", data) if isinstance(data, dict) else dict[str, object]()
    file, digest = said.get("file"), said.get("sha256")
    if not isinstance(file, str) or not isinstance(digest, str):
        raise ValueError("what its run began with makes no sense")
    return f"{file} (SHA-256 {digest[:12]}...)"


def origin_of_header(metadata: Mapping[str, str]) -> Origin | None:
    """Where a file of tensors was taken from, by its header.

    Raises:
        ValueError: the header makes no sense.
    """
    return origin_of(json.loads(metadata[HEADER_KEY])) if metadata.get(HEADER_KEY) else None


def origin_of_run(run: Path) -> Origin | None:
    """Where a run was taken from, by the record that its migration left.

    Raises:
        ValueError: the record makes no sense, or cannot be read.
    """
    record = run / MIGRATION_NAME
    if not record.is_file():
        return None
    try:
        data: object = json.loads(record.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from error
    return origin_of(cast("dict[str, object]", data).get("source") if isinstance(data, dict) else None)
