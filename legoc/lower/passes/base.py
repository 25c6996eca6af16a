"""What a pass over programs is, and the pipeline that runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Protocol

from legoc.graph.verify import Violation
from legoc.passes.runner import Journal, run_step, unexpected
from legoc.source import Span
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.contract.verify import Fault, faults


class ProgramPass(Protocol):
    """A frozen dataclass whose fields are its options. Programs are valid before and after; the input stays."""

    name: ClassVar[str]

    def apply(self, program: Program, shape: StackShape) -> Program:
        """The transformed program of the stack `shape`.

        Raises:
            ProgramError: the program cannot be transformed, with the brick that is the reason.
        """
        ...


class OptInPass(ProgramPass, Protocol):
    """A pass that changes results beyond rounding: `tolerance` says in words by how much at most."""

    tolerance: ClassVar[str]


class ProgramError(Exception):
    """A program that breaks its invariants, or that a pass cannot transform."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


def run_program_passes(
    program: Program,
    shape: StackShape,
    passes: Sequence[ProgramPass],
    spans: Mapping[str, Span] | None = None,
    journal: Journal | None = None,
) -> Program:
    """Run passes in order on a valid program, verifying after each.

    Args:
        program: what lowering made.
        shape: its stack.
        passes: in order.
        spans: brick id -> where the user wrote it.
        journal: where the passes that ran are written down.

    Raises:
        SpecError: a pass failed; the diagnostic names the pass, those that ran before it, and the user's line.
    """
    journal = Journal(program.name) if journal is None else journal
    for step in passes:
        program = run_step(
            step.name,
            program,
            partial(_apply, step, shape),
            verify=partial(check_program, shape),
            blame=partial(program_violations, program, spans or {}),
            journal=journal,
            way_out=f"`--disable {step.name}` builds without it",
        )
    return program


def check_program(shape: StackShape, program: Program) -> None:
    """Raise ProgramError with every fault under the first invariant that does not hold."""
    if found := faults(program, shape):
        raise ProgramError(found)


def program_violations(program: Program, spans: Mapping[str, Span], error: Exception) -> Sequence[Violation]:
    """What an exception says about a program, at the line of the brick that it names or of the lowest that runs."""
    own = [spans[id] for id in program.bricks if id in spans]
    if not isinstance(error, ProgramError):
        return [unexpected(error, own)]
    lowest = own[0] if own else None
    return [
        Violation(fault.invariant, "", str(fault), lowest if fault.brick is None else spans.get(fault.brick, lowest))
        for fault in error.faults
    ]


def _apply(step: ProgramPass, shape: StackShape, program: Program) -> Program:
    return step.apply(program, shape)
