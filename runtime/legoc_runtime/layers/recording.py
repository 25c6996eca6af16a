"""Switching autograd off for a part of a linked module, so that it keeps nothing for the backward pass.

As calls of functions in the graph: blocks between them stay calls of leaf modules, which backends find and compile.
Whoever calls a module that holds these restores the mode when it fails halfway (`stack.TrainingStack`).
"""

from __future__ import annotations

import torch
from torch import fx


@fx.has_side_effect
def stop_recording() -> bool:
    """Record nothing from here on; gives whether operations were recorded before."""
    was = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    return was


@fx.has_side_effect
def resume_recording(was: bool) -> None:
    """The end of what `stop_recording` began, whose result is `was`."""
    torch.set_grad_enabled(was)
