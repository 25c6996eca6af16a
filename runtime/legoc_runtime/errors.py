"""What a user may be told. Everything that a command reports without a traceback is one of these."""

from __future__ import annotations


class LegocError(Exception):
    """A failure that the user can act on: what went wrong, and what to do about it.

    Attributes:
        message: one sentence, what and where.
        help: what to do, or None.
        exit_code: the exit code of a command that ends with this error (DESIGN: 2 bad usage, 3 failed while running).
    """

    exit_code: int = 3

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class UsageError(LegocError):
    """The request itself does not make sense (exit code 2)."""

    exit_code = 2


class RunError(LegocError):
    """The request was sound and failed while running: disk, data, numbers (exit code 3)."""

    exit_code = 3
