"""What really ran: every call of the stack, recorded next to the stack and held against the truth table.

The recorder stands inside guidance, so a wrapper that loses the configuration on the way is
caught like a stack that ignores it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from legoc_runtime.contract.policy import Configuration, configuration_name
from legoc_runtime.contract.schedule import Evaluation
from legoc_runtime.errors import RunError
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.sampler import Stack


@dataclass(frozen=True, slots=True)
class Call:
    """One evaluation as it happened.

    Attributes:
        step: the sampler's step.
        order: 1 predictor, 2 correction.
        level: index of the noise level whose configuration ran.
        sigma: noise level that the network was given, after churn.
        bricks: the bricks that ran, bottom to top.
    """

    step: int
    order: int
    level: int
    sigma: float
    bricks: Configuration


class Recorder:
    """A stack that remembers which bricks the calls of an evaluation ran: one, or on a canvas several."""

    def __init__(self, stack: Stack, bricks: Configuration) -> None:
        """Record `stack`, which runs all its `bricks` when a call names no configuration."""
        self._stack = stack
        self._bricks = bricks
        self._ran: Configuration | None = None

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
    ) -> Tensor:
        """Call the stack: see `sampler.Stack`.

        Raises:
            RunError: an earlier call since the last `take` ran other bricks.
        """
        ran = self._stack.bricks_run(configuration or self._bricks)
        if self._ran not in (None, ran):
            raise RunError("the windows of one evaluation ran different bricks")
        self._ran = ran
        return self._stack(x, sigma, labels, configuration=configuration)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """What the recorded stack runs."""
        return self._stack.bricks_run(configuration)

    def take(self) -> Configuration:
        """The bricks of the calls since the last `take`. Raises RunError when there was none."""
        if self._ran is None:
            raise RunError("the sampler went past an evaluation without calling the stack")
        ran, self._ran = self._ran, None
        return ran


class Trace:
    """The calls of one batch; every further batch must repeat them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._calls: list[Call] = []
        self._next = 0

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls, in order."""
        return tuple(self._calls)

    def add(self, evaluation: Evaluation, sigma: float, bricks: Configuration) -> None:
        """Record a call.

        Raises:
            RunError: another call was due, or it ran other bricks than the truth table says.
        """
        due = self._plan.evaluations[self._next % len(self._plan.evaluations)]
        if evaluation != due:
            raise RunError(f"the sampler made {evaluation} where {due} was due")
        wanted = self._plan.configuration_at(evaluation)
        if bricks != wanted:
            raise RunError(
                f"the stack ran {configuration_name(bricks)} at step {evaluation.step} (sigma {sigma:.4g}), "
                f"where policy `{self._plan.policy.name}` runs {configuration_name(wanted)}",
                help="these pictures would not be what was asked for: build again with `legoc build`, or "
                "sample with --backend eager",
            )
        if self._next < len(self._plan.evaluations):
            self._calls.append(Call(evaluation.step, evaluation.order, evaluation.level, sigma, bricks))
        self._next += 1
