"""What an entry point of the group `legoc.pretrained` gives for a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from legoc_runtime.contract.stack import Prediction

GROUP = "legoc.pretrained"
"""The group of entry points. Each is a function: the folder of the spec's `path` (a `pathlib.Path`) to a model."""


@dataclass(frozen=True)
class PretrainedModel:
    """A model of a user's own.

    Attributes:
        network: called as `network(x, level, labels)` with x [N, C, H, W], level [N] and labels [N] int64, or None for
            a model without classes; the null label is `classes`. Gives its prediction [N, C, H, W]. Draws nothing
            at random.
        predicts: what that is: `x0` the clean image; `epsilon` the noise; `v_prediction`.
        sigmas: the noise level of each timestep, ascending, as sigma over the clean image; then x comes as x / sqrt(1 +
            sigma^2) and `level` is a timestep, between two of them in proportion. Empty: x comes as x0 + sigma eps,
            and `level` is sigma.
        classes: the classes that it knows, or None.
    """

    network: nn.Module
    predicts: Prediction = "x0"
    sigmas: Sequence[float] = ()
    classes: int | None = None
