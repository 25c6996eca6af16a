"""From the shape of a stack to a finished program: graph passes, lowering, program passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from legoc.graph.brick_graph import BrickGraph
from legoc.graph.build import sampling_graph, training_graph
from legoc.graph.verify import Violation
from legoc.lower.passes.base import ProgramError, ProgramPass, check_program, run_program_passes
from legoc.lower.passes.catalog import exact_sampling, exact_training
from legoc.lower.passes.opt_in.catalog import opt_in_sampling, opt_in_training
from legoc.lower.program import lower, with_below_given
from legoc.passes.base import GraphPass, graph_violations, run_passes
from legoc.passes.catalog import NEEDED, sampling_passes, training_passes
from legoc.passes.runner import Journal, Observer, run_step
from legoc.source import Span
from legoc_runtime.contract.curriculum import Variant
from legoc_runtime.contract.manifest import TRAINING
from legoc_runtime.contract.policy import Configuration, configuration_name
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import RunError, UsageError

LOWER = "lower"
"""What stands for lowering among the names of passes."""


@dataclass(frozen=True)
class Pipeline:
    """The passes over programs of one build.

    Attributes:
        sampling: those of the configurations' programs, in order.
        training: those of the training program, in order.
    """

    sampling: tuple[ProgramPass, ...]
    training: tuple[ProgramPass, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Each pass once, those of sampling first: what a manifest records."""
        return tuple(dict.fromkeys(step.name for step in (*self.sampling, *self.training)))


def choose(disable: Sequence[str] = (), enable: Sequence[str] = ()) -> Pipeline:
    """The exact passes but the disabled ones, and the opt-in passes that are enabled.

    Raises:
        UsageError: there is no such pass, or lowering needs one that is to be disabled.
    """
    off, on = frozenset(disable), frozenset(enable)
    exact = _names(exact_sampling(), exact_training())
    opt_in = _names(opt_in_sampling(), opt_in_training())
    for name in disable:
        if reason := {**NEEDED, LOWER: "it is what makes programs"}.get(name):
            raise UsageError(f"pass `{name}` cannot be disabled: {reason}")
        if name in opt_in:
            raise UsageError(f"pass `{name}` runs only where it is enabled", help="leave --disable out")
        if name not in exact:
            raise _unknown(name, exact)
    for name in enable:
        if name in exact or name in NEEDED or name == LOWER:
            raise UsageError(f"pass `{name}` runs unless it is disabled", help="leave --enable out")
        if name not in opt_in:
            raise _unknown(name, opt_in)
    return Pipeline(
        tuple(s for s in exact_sampling() if s.name not in off) + tuple(s for s in opt_in_sampling() if s.name in on),
        tuple(s for s in exact_training() if s.name not in off) + tuple(s for s in opt_in_training() if s.name in on),
    )


def recorded(names: Sequence[str], where: str) -> Pipeline:
    """The passes that a manifest says ran.

    Raises:
        RunError: this version has no such pass.
    """
    sampling, training = (*exact_sampling(), *opt_in_sampling()), (*exact_training(), *opt_in_training())
    if missing := sorted(set(names) - set(_names(sampling, training))):
        raise RunError(
            f"{where} was made with passes that this legoc does not have: {', '.join(missing)}",
            help="build it again with this version, or install the version that wrote it",
        )
    return Pipeline(tuple(s for s in sampling if s.name in names), tuple(s for s in training if s.name in names))


def pass_names() -> tuple[str, ...]:
    """Every pass of the compiler: over graphs, lowering, over programs, opt-in."""
    graph = _names(sampling_passes(()), training_passes())
    programs = _names(exact_sampling(), exact_training(), opt_in_sampling(), opt_in_training())
    return (*graph, LOWER, *programs)


def sampling_program(
    shape: StackShape,
    configuration: Configuration,
    pipeline: Pipeline,
    spans: dict[str, Span] | None = None,
    observe: Observer | None = None,
) -> Program:
    """The program of one configuration: (x, sigma[, label]) to the estimate of the highest brick that runs.

    Raises:
        SpecError: a pass failed; the diagnostic names it, those that ran before it, and the user's line.
    """
    journal = Journal(configuration_name(configuration), observe)
    graph = run_passes(sampling_graph(shape, spans), sampling_passes(configuration), journal)
    program = _lowered(graph, None, spans or {}, journal)
    return run_program_passes(program, shape, pipeline.sampling, spans, journal)


def brick_program(shape: StackShape, id: str, pipeline: Pipeline) -> Program:
    """The program of one brick that is given the estimate below: (x, sigma[, label][, estimate]) to its own.

    Raises:
        SpecError: a pass failed.
    """
    journal = Journal(f"{id} alone")
    graph = run_passes(sampling_graph(shape), sampling_passes((id,)), journal)
    program = with_below_given(_lowered(graph, None, {}, journal))
    return run_program_passes(program, shape, pipeline.sampling, {}, journal)


def training_program(
    shape: StackShape,
    train: TrainSettings,
    pipeline: Pipeline,
    spans: dict[str, Span] | None = None,
    observe: Observer | None = None,
    variant: Variant | None = None,
) -> Program:
    """The training program: every brick's estimate from one forward, on a share of its windows if the spec says so.

    With a variant, that of a stage: the estimates of the bricks that train, from those that run.

    Raises:
        SpecError: a pass failed; the diagnostic names it, those that ran before it, and the user's line.
    """
    journal = Journal(variant.name(shape.ids) if variant else TRAINING, observe)
    graph = training_graph(shape, spans, variant.learning if variant else None)
    graph = run_passes(graph, training_passes(variant.bricks if variant else None), journal)
    program = _lowered(graph, train, spans or {}, journal, variant)
    return run_program_passes(program, shape, pipeline.training, spans, journal)


def _lowered(
    graph: BrickGraph,
    train: TrainSettings | None,
    spans: Mapping[str, Span],
    journal: Journal,
    variant: Variant | None = None,
) -> Program:
    return run_step(
        LOWER,
        graph,
        partial(lower, train=train, variant=variant),
        verify=partial(check_program, graph.shape),
        blame=partial(_lowering_violations, graph, spans),
        journal=journal,
    )


def _lowering_violations(graph: BrickGraph, spans: Mapping[str, Span], error: Exception) -> Sequence[Violation]:
    if isinstance(error, ProgramError):
        return [Violation(f.invariant, "", str(f), spans.get(f.brick or graph.shape.ids[0])) for f in error.faults]
    return graph_violations(graph, error)


def _names(*steps: Sequence[ProgramPass] | Sequence[GraphPass]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(step.name for some in steps for step in some))


def _unknown(name: str, known: Sequence[str]) -> UsageError:
    near = get_close_matches(name, known, n=1)
    choice = f"choose one of {', '.join(known)}" if known else "this version has none"
    return UsageError(f"there is no pass `{name}` to choose", help=f"did you mean `{near[0]}`?" if near else choice)
