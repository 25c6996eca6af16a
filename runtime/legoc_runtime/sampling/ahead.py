"""Conditioning of a sampling run computed ahead: its noise levels and labels are known before the first step.

Guidance and the recorder call what is here as they call any stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.sampler import Sampler
from legoc_runtime.stack import BrickStack, ModulationTable, Use


class Ahead:
    """A stack that looks its conditioning up.

    One table serves the whole run if all labels of the plan fit into it. Otherwise each batch has a table of its own
    labels, and a schedule that is too long even so is computed in windows (`ModulationTable`).

    Attributes:
        table: the table in use.
    """

    def __init__(self, stack: BrickStack, plan: Plan, sampler: Sampler, max_bytes: int) -> None:
        """Plan the table of a run.

        Args:
            stack: the stack.
            plan: what is sampled.
            sampler: says at which noise level each evaluation of the plan is.
            max_bytes: how much a table may hold.
        """
        self._stack = stack
        self._max_bytes = max_bytes
        calls = [(plan.configuration_at(found), sampler.sigma_of(found)) for found in plan.evaluations]
        if plan.canvas is not None and plan.canvas.way == "factorised":
            calls = [((brick,), sigma) for configuration, sigma in calls for brick in configuration]
        self._calls = tuple(calls)
        self._null = () if plan.settings.guidance == 1 or plan.shape.classes is None else (plan.shape.classes,)
        regions = () if plan.canvas is None else plan.canvas.regions
        self._of_regions = {region.label for region in regions}
        self.table = self._tabulate(plan.labels)
        self._whole = self.table.fits
        self._past = Use()

    def begin(self, labels: Sequence[int] | None) -> None:
        """Get ready for a batch of these labels."""
        if self._whole or self._chosen(labels) == self.table.labels:
            return
        self._past.add(self.table.use)
        self.table = self._tabulate(labels)

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
        below: Tensor | None = None,
    ) -> Tensor:
        """The estimate: see `sampler.Stack`, and `BrickStack` for `below`."""
        return self._stack(x, sigma, labels, configuration=configuration, table=self.table, below=below)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        """What the stack runs."""
        return self._stack.bricks_run(configuration)

    def record(self) -> dict[str, Any]:
        """What samples.json says of it: how long the table was, how it was kept, how often it served."""
        use = Use()
        for part in (self._past, self.table.use):
            use.add(part)
        return {
            "levels": len(self.table.calls),
            "labels": len(self.table.labels or ()),
            "bytes": self.table.bytes,
            "max_bytes": self._max_bytes,
            **asdict(use),
        }

    def _chosen(self, labels: Sequence[int] | None) -> tuple[int, ...] | None:
        return None if labels is None else (*sorted({*labels, *self._of_regions} - {*self._null}), *self._null)

    def _tabulate(self, labels: Sequence[int] | None) -> ModulationTable:
        return self._stack.tabulate(self._calls, self._chosen(labels), max_bytes=self._max_bytes)
