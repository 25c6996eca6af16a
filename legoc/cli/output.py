"""Lines on stdout and stderr."""

from __future__ import annotations

import sys


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Write text and flush it, so that data and talk keep their order on a terminal.

    Args:
        text: what to write.
        err: to stderr (talk) instead of stdout (data).
        nl: end the line.
    """
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n" if nl else str(text))
    stream.flush()
