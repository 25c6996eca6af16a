"""The second half of `legoc policy search`: what is loaded, rolled out, solved and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from legoc.cli.data_progress import counting
from legoc.cli.output import echo
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    import torch

    from legoc.cli.sample_source import StackSource
    from legoc.policies.record import Record
    from legoc.policies.search import CostOf, Found, Measured, Problem
    from legoc_runtime.backends.base import Choice
    from legoc_runtime.contract.policy import Configuration
    from legoc_runtime.contract.settings import SampleSettings
    from legoc_runtime.study.roll_out import RollOuts

Unit = Literal["time", "macs"]


@dataclass(frozen=True)
class Request:
    """A search.

    Attributes:
        source: the run's build and weights.
        settings: how it is sampled.
        bands: bands of noise levels.
        seeds: what bands are measured on, as it was written.
        check_seeds: what policies are rolled out on, as it was written.
        budget: share of the cost of no skipping.
        by: what costs are in.
        switches: how often the configuration may change.
        name: what the policy is called.
        choice: the backend.
        device: where it is computed.
    """

    source: StackSource
    settings: SampleSettings
    bands: int
    seeds: str
    check_seeds: str
    budget: float
    by: Unit
    switches: int
    name: str
    choice: Choice
    device: torch.device

    def problem(self) -> Problem:
        """What is solved, with everything refused that can be before weights are read.

        Raises:
            UsageError: settings that mean nothing for this stack, or nothing to leave out.
        """
        from legoc.policies.search import Problem
        from legoc_runtime.contract.request import parse_seeds
        from legoc_runtime.contract.schedule import evaluations, sampling_levels
        from legoc_runtime.sampling.plan import make_plan

        manifest = self.source.manifest
        if len(manifest.shape.ids) < 2:
            raise UsageError("a stack of one brick has nothing to leave out", help="search a stack of two or more")
        seeds = tuple(parse_seeds(self.seeds))
        if not set(seeds).isdisjoint(parse_seeds(self.check_seeds)):
            raise UsageError("--check-seeds has seeds of --seeds", help="for example --check-seeds 1000-1007")
        make_plan(manifest.shape, manifest.policy("none"), self.settings, seeds)
        levels = sampling_levels(self.settings, manifest.shape.diffusion)
        calls = evaluations(self.settings.sampler, self.settings.steps)
        return Problem.of(manifest.shape, levels, calls, self.bands)


def search(request: Request) -> tuple[Record, Found]:
    """Measure, solve and roll out.

    Raises:
        UsageError: no schedule is so cheap, or the request means nothing.
        RunError: a picture is not finite.
    """
    from legoc.policies.search import find, measure
    from legoc_runtime.contract.request import parse_seeds

    problem = request.problem()
    count = problem.roll_outs
    echo(
        f"{len(problem.bands)} bands of noise levels, {len(problem.configurations)} configurations: "
        f"{count} roll-outs of seeds {request.seeds}, then those of seeds {request.check_seeds}",
        err=True,
    )
    rolls = _roll_outs(request, problem)
    calibration = rolls(tuple(parse_seeds(request.seeds)))
    with counting(count, "roll-outs") as done:
        measured = measure(problem, calibration.error, done)
    cost_of = _costs(request, problem, calibration)
    cheapest = min(map(cost_of, problem.configurations)) / cost_of(problem.shape.ids)
    if cheapest > request.budget:
        raise UsageError(
            f"no configuration is so cheap: the least one takes {cheapest:.2f} of the whole stack's {request.by}",
            help=f"give --budget {cheapest + 0.01:.2f}x or more",
        )
    check = rolls(tuple(parse_seeds(request.check_seeds)))
    found = find(measured, cost_of, check.error, budget=request.budget, switches=request.switches, name=request.name)
    assert found is not None, "the cheapest configuration everywhere meets the budget and never switches"
    return _record(request, measured, found, cost_of), found


def _roll_outs(request: Request, problem: Problem) -> Callable[[Sequence[int]], RollOuts]:
    from legoc_runtime.study.roll_out import RollOuts

    stack = request.source.load(
        problem.configurations, backend=request.choice.backend, device=request.device, dtype=_float32()
    )

    def rolls(seeds: Sequence[int]) -> RollOuts:
        return RollOuts(stack, problem.shape, request.settings, seeds, device=request.device)

    return rolls


def _float32() -> torch.dtype:
    import torch

    return torch.float32


def _costs(request: Request, problem: Problem, calibration: RollOuts) -> CostOf:
    """What a row costs. Measured before anything is solved, so that every policy is priced by the same times."""
    from legoc.cost import macs

    if request.by == "macs":
        found = {configuration: float(macs(problem.shape, configuration)) for configuration in problem.configurations}
    else:
        found = {configuration: calibration.time_a_row(configuration) for configuration in problem.configurations}

    def cost_of(configuration: Configuration) -> float:
        return found[configuration]

    return cost_of


def _record(request: Request, measured: Measured, found: Found, cost_of: CostOf) -> Record:
    from legoc.policies.record import BandErrors, Record, Rolled, stretches
    from legoc_runtime.contract.policy import configuration_name

    problem, settings, weights = measured.problem, request.settings, request.source.weights
    names = [configuration_name(configuration) for configuration in problem.configurations]
    bands = tuple(
        BandErrors(
            problem.levels[band.start].sigma,
            problem.levels[band.stop - 1].sigma,
            dict(zip(names, errors, strict=True)),
        )
        for band, errors in zip(problem.bands, measured.errors, strict=True)
    )
    whole = cost_of(problem.shape.ids)
    points = (found.best, *found.front, *found.shares, *([found.halfway] if found.halfway else []))
    distinct = {point.table.configurations: point for point in reversed(points)}
    rolled = tuple(
        Rolled(point.table.policy, point.predicates, stretches(point.table), point.cost, point.error, point.predicted)
        for point in reversed(distinct.values())
    )
    return Record(
        weights=weights.kind,
        images=weights.images,
        sampler=settings.sampler,
        steps=settings.steps,
        guidance=settings.guidance,
        guidance_interval=settings.guidance_interval,
        by=request.by,
        device=str(request.device),
        backend=request.choice.backend.name,
        budget=request.budget,
        switches=request.switches,
        seeds=request.seeds,
        check_seeds=request.check_seeds,
        costs={
            name: cost_of(configuration) / whole
            for name, configuration in zip(names, problem.configurations, strict=True)
        },
        bands=bands,
        rolled=rolled,
        found={request.name: found.best.predicates} if found.is_worth_keeping else {},
    )
