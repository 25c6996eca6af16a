"""What a sampler is, and what it asks of a stack. Another sampler is one more file that fits `Sampler`.

Legend: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.schedule import Evaluation


class Stack(Protocol):
    """What sampling needs of a stack; `legoc_runtime.stack.BrickStack` is one."""

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
    ) -> Tensor:
        """The clean image's estimate [N,C,H,W] at x [N,C,H,W], sigma [N] or [] for all, labels [N]; None runs all."""
        ...

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """The bricks that a call with this configuration runs, read off the module that it calls."""
        ...


class Denoiser(Protocol):
    """D(x; sigma) of the sampler's paper, and which call of the run it is."""

    def __call__(self, x: Tensor, sigma: float, evaluation: Evaluation) -> Tensor:
        """The estimate of the clean image, float64 [N,C,H,W], at noise level `sigma`.

        For DDPM's sampler on a stack that learns its variance [N,2C,H,W]: then the channels of the variance.
        """
        ...


StepNoise = Callable[[int], Tensor]
"""Fresh standard normal noise of a step: float64 [N,C,H,W], the same for the same step."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a sampler stands.

    Attributes:
        step: steps done; `steps` after the last.
        sigma: noise level of `x`, before churn; 0 after the last step.
        x: float64 [N,C,H,W].
    """

    step: int
    sigma: float
    x: Tensor


OnState = Callable[[State], None]
"""Called at the start of every step and once after the last."""


class Sampler(Protocol):
    """Noise to pictures by a fixed list of evaluations."""

    def sigma_of(self, evaluation: Evaluation) -> float:
        """The noise level at which an evaluation calls `denoise`: known before the run begins."""
        ...

    def begin(self, noise: Tensor, image: Tensor | None = None) -> Tensor:
        """The state at the level of the first evaluation, float64 [N,C,H,W], in the sampler's own scale.

        Args:
            noise: standard normal noise [N,C,H,W].
            image: what is noised, [N,C,H,W] in [-1, 1]; None begins with noise alone.
        """
        ...

    def __call__(self, x: Tensor, denoise: Denoiser, noise: StepNoise, on_state: OnState | None = None) -> Tensor:
        """Run the sampler.

        Args:
            x: the state that `begin` gave.
            denoise: called once an evaluation, in the order that the truth table was made for.
            noise: noise of a step, asked for only where the sampler adds any.
            on_state: observer; it must not change the state.

        Returns:
            float64 [N,C,H,W], data in [-1, 1] up to what the model overshoots.
        """
        ...
