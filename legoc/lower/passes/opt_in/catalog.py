"""Which passes can be asked for by name, in the order in which they run: after the exact ones."""

from __future__ import annotations

from legoc.lower.passes.base import OptInPass


def opt_in_sampling() -> tuple[OptInPass, ...]:
    """The opt-in passes over the program of a configuration."""
    return ()


def opt_in_training() -> tuple[OptInPass, ...]:
    """The opt-in passes over the training program."""
    return ()
