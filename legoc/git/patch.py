"""One file of `git diff`: what the change does to checkpoints and pictures, above the patch that git shows.

Git hands over `path old-file old-hex old-mode new-file new-hex new-mode`, for a renamed file also its new name and what
it says of that, and for one that is not merged its path alone (git(1), GIT_EXTERNAL_DIFF). The patch is git's own and
can be applied: whatever stands above it is not read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from legoc.git.textconv import EXTENDS, checked
from legoc.review.changes import Change
from legoc.review.classify import Verdict
from legoc.review.compare import review
from legoc.review.git import LINK_MODE
from legoc.review.render.words import described, headline, symbol
from legoc.review.sides import Side
from legoc.spec.files import DISK
from legoc.spec.find import is_whole
from legoc_runtime.errors import UsageError

NOTHING = os.devnull
_GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS")


@dataclass(frozen=True)
class Changed:
    """A file that changed, as git hands it over.

    Attributes:
        old_name: its path before, from the top of the repository.
        new_name: its path now.
        old: a file with what it was; `/dev/null` for none.
        new: a file with what it is; `/dev/null` for none.
        old_mode: its mode before, such as 100644; `.` for none.
        new_mode: its mode now.
        about: what git says of a rename; empty where it is none.
    """

    old_name: str
    new_name: str
    old: Path
    new: Path
    old_mode: str
    new_mode: str
    about: str = ""


def read_request(arguments: Sequence[str]) -> Changed | None:
    """What git hands over; None for a file that is not merged.

    Raises:
        UsageError: this is not how git calls it.
    """
    match arguments:
        case [_]:
            return None
        case [path, old, _, old_mode, new, _, new_mode, *rest] if len(rest) in (0, 1, 2):
            new_name, about = [*rest, *("", "")[len(rest) :]]
            return Changed(path, new_name or path, Path(old), Path(new), old_mode, new_mode, about)
        case _:
            raise UsageError(
                "`legoc git patch` is called by git, with a path and two files", help="compare with `legoc diff`"
            )


def changed_text(changed: Changed) -> bytes:
    """What is shown of a file: a few lines on what the change does, then the patch."""
    words = "".join(f"{line}\n" for line in about(changed))
    return words.encode(errors="backslashreplace") + patch(changed)


def about(changed: Changed) -> Iterator[str]:
    """What the change does, a line at a time; nothing for files that are no specs."""
    before, after = _text(changed.old), _text(changed.new)
    if before is None or after is None or not (is_whole(before) or is_whole(after)):
        return
    texts = (("old", changed.old_name, before), ("new", changed.new_name, after))
    over = ""
    found = [checked(text, name) for _, name, text in texts]
    if any(why_not == EXTENDS for _, why_not in found):
        # git runs this at the top of the working tree; one state of the bases under both sides leaves what the file
        # itself changes
        over = ", over what it extends as that is now"
        found = [checked(text, name, DISK) for _, name, text in texts]
    sides: list[Side] = []
    for (word, name, text), (result, why_not) in zip(texts, found, strict=True):
        if result.spec is None:
            yield f"{changed.new_name}: not compared, the {word} one cannot be resolved{over}: {why_not}"
            yield f"  compare revisions with `legoc diff REV -- {changed.new_name}`"
            return
        sides.append(Side(name, "spec", name, text, result.spec))
    before_side, after_side = sides
    if (reviewed := review(before_side, after_side)) is None:
        return
    yield f"{changed.new_name}: {headline(reviewed)}{over}"
    yield from (_line(verdict) for verdict in reviewed.verdicts)


def patch(changed: Changed) -> bytes:
    """The patch of a file as git writes it, with the paths that the file has."""
    with tempfile.TemporaryDirectory(prefix="legoc-") as folder:
        old = _put(Path(folder), "a", changed.old_name, changed.old, changed.old_mode)
        new = _put(Path(folder), "b", changed.new_name, changed.new, changed.new_mode)
        colour = "always" if _wants_colour() else "never"
        options = ("--no-index", "--no-ext-diff", "--no-textconv", "--no-prefix", f"--color={colour}")
        clean = {name: value for name, value in os.environ.items() if name not in _GIT_VARIABLES}
        made = subprocess.run(
            ["git", "--no-pager", "diff", *options, "--", old, new],
            cwd=folder,
            env=clean,
            capture_output=True,
            check=False,
        )
        if made.returncode not in (0, 1):
            raise OSError(made.returncode, made.stderr.decode(errors="replace").strip())
        return _renamed(changed, made.stdout)


def _renamed(changed: Changed, made: bytes) -> bytes:
    """A patch with what git says of a rename; there is none of the text where nothing else changed."""
    says = [line for line in changed.about.splitlines() if line and not line.startswith("index ")]
    if not says:
        return made
    first, _, rest = made.partition(b"\n")
    header = first or f"diff --git a/{changed.old_name} b/{changed.new_name}".encode()
    return b"\n".join([header, *(line.encode() for line in says), rest])


def _line(verdict: Verdict) -> str:
    change: Change = verdict.change
    return f"  {symbol(change)} {verdict.impact:<9}  {described(change)}"


def _text(path: Path) -> str | None:
    """The text of a file; None for one that is not there, or is no text."""
    if str(path) == NOTHING:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def _put(folder: Path, side: str, name: str, file: Path, mode: str) -> str:
    """A copy of a file under the path that the patch is to show."""
    if str(file) == NOTHING:
        return NOTHING
    place = folder / side / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise OSError(0, f"{name} is no path in a repository")
    place.parent.mkdir(parents=True, exist_ok=True)
    if mode == LINK_MODE:
        # git hands over where the link leads as a file's text
        place.symlink_to(os.fsdecode(file.read_bytes()))
        return f"{side}/{name}"
    shutil.copyfile(file, place)
    place.chmod(0o755 if mode == "100755" else 0o644)
    return f"{side}/{name}"


def _wants_colour() -> bool:
    is_terminal = "true" if sys.stdout.isatty() else "false"
    arguments = ["git", "config", "--get-colorbool", "color.diff", is_terminal]
    return subprocess.run(arguments, capture_output=True, check=False).stdout.strip() == b"true"
