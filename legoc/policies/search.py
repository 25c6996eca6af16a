"""The search: measure bands, solve, roll the best out, and set `halfway` beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from legoc.cost.counts import GUIDED_ROWS
from legoc.policies.predicates import Band, band_policy, candidates, sigma_predicates, split_levels, written_policy
from legoc.policies.solve import Option, Schedule, best_under, pareto_front
from legoc_runtime.contract.policy import Configuration, Policy, TruthTable, builtin_policy, tabulate
from legoc_runtime.contract.schedule import Evaluation, Level
from legoc_runtime.contract.stack import StackShape

FRONT = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Budgets whose schedules are rolled out for the picture, beside the one that was asked for."""

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of steps at which `halfway` is rolled out for the picture."""

CostOf = Callable[[Configuration], float]
"""What a configuration takes for one row of a batch, in any unit."""

ErrorOf = Callable[[Policy], float]
"""How far a policy's pictures are from those without skipping."""


Progress = Callable[[int], None]
"""Told how many roll-outs are done."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a search is about.

    Attributes:
        shape: the stack.
        levels: the schedule.
        evaluations: the sampler's calls on it.
        bands: the parts of it that take one configuration each.
        configurations: what may run there, the whole stack first.
    """

    shape: StackShape
    levels: tuple[Level, ...]
    evaluations: tuple[Evaluation, ...]
    bands: tuple[Band, ...]
    configurations: tuple[Configuration, ...]

    @classmethod
    def of(cls, shape: StackShape, levels: Sequence[Level], evaluations: Sequence[Evaluation], bands: int) -> Problem:
        """The problem of a stack on a schedule, cut into so many bands."""
        cut = split_levels(len(levels), bands)
        return cls(shape, tuple(levels), tuple(evaluations), cut, candidates(shape.ids))

    @property
    def roll_outs(self) -> int:
        """Roll-outs that measuring the bands takes."""
        return len(self.bands) * (len(self.configurations) - 1)

    def rows(self, schedule: Schedule) -> tuple[Configuration, ...]:
        """What a schedule runs, level by level."""
        picks = zip(self.bands, schedule.picks, strict=True)
        return tuple(self.configurations[pick] for band, pick in picks for _ in range(band.start, band.stop))

    def cost(self, table: TruthTable, cost_of: CostOf) -> float:
        """The cost of a policy over that of no skipping."""
        called = [self.levels[call.level] for call in self.evaluations]
        whole = sum(map(_rows, called)) * cost_of(self.shape.ids)
        return sum(_rows(level) * cost_of(table.configurations[level.step]) for level in called) / whole


@dataclass(frozen=True, slots=True)
class Measured:
    """Errors of the bands.

    Attributes:
        problem: what was measured.
        errors: [band][configuration]: root mean square of the final pictures against no skipping, where that
            configuration ran in that band and everything elsewhere.
    """

    problem: Problem
    errors: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A policy that was rolled out on other seeds than those that the bands were measured on.

    Attributes:
        table: the policy on the schedule.
        predicates: brick -> where it is left out, by sigma.
        cost: its cost over that of no skipping.
        error: root mean square of its pictures against those without skipping.
        predicted: errors of its bands added up; None for `halfway`.
    """

    table: TruthTable
    predicates: dict[str, str]
    cost: float
    error: float
    predicted: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        best: the policy under the budget with the least measured error.
        halfway: the built-in rule with the least share of steps that meets the budget; None where no share does.
        front: the best schedules at several budgets, cheapest first, `best` among them.
        shares: `halfway` at several shares, cheapest first.
    """

    best: Point
    halfway: Point | None
    front: tuple[Point, ...]
    shares: tuple[Point, ...]

    @property
    def beats_halfway(self) -> bool:
        """Whether its pictures are nearer to those without skipping than `halfway`'s at the same budget."""
        return self.halfway is None or self.best.error < self.halfway.error

    @property
    def is_worth_keeping(self) -> bool:
        """Whether a policy was found that skips something and beats `halfway`."""
        return bool(self.best.predicates) and self.beats_halfway


def measure(problem: Problem, error_of: ErrorOf, done: Progress) -> Measured:
    """Roll every configuration out in every band by itself.

    Args:
        problem: what to measure.
        error_of: rolls a policy out on the calibration seeds.
        done: told how many roll-outs are done.
    """
    ids, count = problem.shape.ids, 0
    errors: list[tuple[float, ...]] = []
    for band in problem.bands:
        row: list[float] = []
        for configuration in problem.configurations:
            if configuration == ids:
                row.append(0.0)
                continue
            row.append(error_of(band_policy(ids, configuration, band)))
            count += 1
            done(count)
        errors.append(tuple(row))
    return Measured(problem, tuple(errors))


def find(
    measured: Measured, cost_of: CostOf, check: ErrorOf, *, budget: float, switches: int, name: str
) -> Found | None:
    """The best policy under a budget, rolled out with its neighbours on the front and with `halfway`.

    Errors of bands are added up in two ways: as they are, which bounds the error where errors only add, and squared, as
    for errors that have nothing to do with each other. The front of each is exact; what is nearer to the truth, the
    roll-outs say: of both schedules the one with the smaller measured error is taken.

    Args:
        measured: errors of the bands.
        cost_of: what a configuration takes.
        check: rolls a policy out on seeds of its own.
        budget: share of the cost of no skipping, 0 to 1.
        switches: how often the configuration may change.
        name: what the policy is called.

    Returns:
        None where no schedule is so cheap.
    """
    problem = measured.problem
    fronts = [_front(measured, cost_of, power, switches) for power in (1, 2)]
    points: dict[tuple[Configuration, ...], Point] = {}

    def rolled(limit: float) -> Point | None:
        reached: list[Point] = []
        for front in fronts:
            schedule = best_under(front, limit)
            if schedule is None:
                return None
            rows = problem.rows(schedule)
            if rows not in points:
                points[rows] = _rolled(measured, schedule, rows, cost_of, check, name)
            reached.append(points[rows])
        return min(reached, key=lambda point: (point.error, point.cost))

    best = rolled(budget)
    if best is None:
        return None
    around = [point for limit in FRONT if (point := rolled(limit)) is not None]
    front = {point.table.configurations: point for point in (*around, best) if point.predicates}
    shares, halfway = _halfway(problem, cost_of, check, budget)
    by_cost = sorted(front.values(), key=lambda point: point.cost)
    return Found(best, halfway, _without_beaten(by_cost, best), shares)


def _front(measured: Measured, cost_of: CostOf, power: int, switches: int) -> tuple[Schedule, ...]:
    problem = measured.problem
    whole = sum(_rows(problem.levels[call.level]) for call in problem.evaluations) * cost_of(problem.shape.ids)
    bands: list[list[Option]] = []
    for band, errors in zip(problem.bands, measured.errors, strict=True):
        called = (problem.levels[call.level] for call in problem.evaluations)
        rows = sum(_rows(level) for level in called if band.start <= level.step < band.stop)
        costs = (rows * cost_of(configuration) / whole for configuration in problem.configurations)
        bands.append([Option(error**power, cost) for error, cost in zip(errors, costs, strict=True)])
    return pareto_front(bands, switches)


def _rolled(
    measured: Measured,
    schedule: Schedule,
    rows: tuple[Configuration, ...],
    cost_of: CostOf,
    check: ErrorOf,
    name: str,
) -> Point:
    problem = measured.problem
    predicates, policy, table = written_policy(name, rows, problem.shape.ids, problem.levels)
    predicted = sum(errors[pick] for errors, pick in zip(measured.errors, schedule.picks, strict=True))
    return Point(table, predicates, problem.cost(table, cost_of), check(policy), predicted)


def _halfway(
    problem: Problem, cost_of: CostOf, check: ErrorOf, budget: float
) -> tuple[tuple[Point, ...], Point | None]:
    """`halfway` at several shares, and at the least share of steps that meets the budget."""
    steps = len(problem.levels)
    if len(problem.shape.ids) < 2:
        return (), None
    tables = {share: _halfway_table(problem, share) for share in (*SHARES, *(i / steps for i in range(1, steps + 1)))}
    meets = [share for share, (_, table) in tables.items() if problem.cost(table, cost_of) <= budget]
    equal = min(meets, default=None)
    points: dict[float, Point] = {}
    wanted = {*SHARES} if equal is None else {*SHARES, equal}
    for share in sorted(wanted, reverse=True):
        policy, table = tables[share]
        predicates = sigma_predicates(table.configurations, problem.shape.ids, problem.levels)
        points[share] = Point(table, predicates, problem.cost(table, cost_of), check(policy))
    return tuple(points.values()), None if equal is None else points[equal]


def _halfway_table(problem: Problem, share: float) -> tuple[Policy, TruthTable]:
    shape = problem.shape
    policy = builtin_policy(f"halfway:{share:.4g}", shape.bricks, pretrained=shape.pretrained)
    assert policy is not None
    return policy, tabulate(policy, shape.ids, problem.levels)


def _without_beaten(points: Sequence[Point], best: Point) -> tuple[Point, ...]:
    """Points cheapest first, without those that a cheaper one beats; `best` stays."""
    kept: list[Point] = []
    for point in points:
        if point is best or not kept or point.error < min(found.error for found in kept):
            kept.append(point)
    return tuple(kept)


def _rows(level: Level) -> int:
    return GUIDED_ROWS if level.guided else 1
