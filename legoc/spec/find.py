"""Which files of a folder are specs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from legoc.source import SourceFile
from legoc.spec.read import read_source

SUFFIXES = (".yaml", ".yml")
_SAYS_VERSION = re.compile(r"""^[\s{"']*legoc["']?[ \t]*:""", re.MULTILINE)


def is_whole(text: str) -> bool:
    """Whether a text says the version of the language, as a whole spec does; what others extend does not."""
    return _SAYS_VERSION.search(text) is not None


def specs_in(folder: Path) -> list[Path]:
    """The whole specs in a folder and those below it, sorted; hidden folders, builds and runs are left out."""
    return sorted(path for path in _files(folder) if _is_spec(path))


def _files(folder: Path) -> Iterator[Path]:
    from legoc_runtime.contract.manifest import is_build  # brings every op there is: for folders alone

    for place, inner, names in os.walk(folder):
        here = Path(place)
        inner[:] = [name for name in inner if not name.startswith(".") and not is_build(here / name)]
        yield from (here / name for name in names if name.endswith(SUFFIXES))


def _is_spec(path: Path) -> bool:
    source = read_source(path)
    return isinstance(source, SourceFile) and is_whole(source.text)
