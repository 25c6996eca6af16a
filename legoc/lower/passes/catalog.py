"""Which exact passes run over programs, in which order. Those that are not exact are in `opt_in/catalog.py`."""

from __future__ import annotations

from legoc.lower.passes.base import ProgramPass
from legoc.lower.passes.share_equal import ShareEqual


def exact_sampling() -> tuple[ProgramPass, ...]:
    """The passes over the program of a configuration."""
    return (ShareEqual(),)


def exact_training() -> tuple[ProgramPass, ...]:
    """The passes over the training program."""
    return (ShareEqual(),)
