"""Which exact passes run over programs, in which order. Those that are not exact are in `opt_in/catalog.py`."""

from __future__ import annotations

from legoc.lower.passes.base import ProgramPass
from legoc.lower.passes.drop_absent_estimate import DropAbsentEstimate
from legoc.lower.passes.float32_islands import Float32Islands
from legoc.lower.passes.fold_constants import FoldConstants
from legoc.lower.passes.join_modulations import JoinModulations
from legoc.lower.passes.share_equal import ShareEqual
from legoc.lower.passes.window_layout import WindowLayout


def exact_sampling() -> tuple[ProgramPass, ...]:
    """The passes over the program of a configuration."""
    return (
        DropAbsentEstimate(),
        WindowLayout(),
        FoldConstants(),
        JoinModulations(),
        ShareEqual(),
        Float32Islands(),
    )


def exact_training() -> tuple[ProgramPass, ...]:
    """The passes over the training program."""
    return (FoldConstants(), ShareEqual())
