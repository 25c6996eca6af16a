"""What the flags of `legoc data` say, as values."""

from __future__ import annotations

import re

from legoc_runtime.contract.settings import RESIZES, Resize
from legoc_runtime.errors import UsageError


def resize_rule(text: str) -> Resize:
    """A resize rule by its name. Raises UsageError when there is none."""
    rule: Resize | None = next((rule for rule in RESIZES if rule == text), None)
    if rule is None:
        raise UsageError(f"there is no resize rule `{text}`", help=f"the rules are {', '.join(RESIZES)}")
    return rule


def two_sides(text: str) -> tuple[int, int]:
    """Height and width: `256`, or `256x384`. Raises UsageError on anything else."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})(?:x([1-9][0-9]{0,4}))?", text)
    if found is None:
        raise UsageError(f"`{text}` is no size", help="give one number, or HEIGHTxWIDTH: 256, 256x384")
    return int(found[1]), int(found[2] or found[1])
