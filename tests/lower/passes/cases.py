"""A small stack, and what a pass does to the text of its programs."""

from __future__ import annotations

from collections.abc import Sequence

from legoc.lower.passes.base import ProgramPass
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.program_text import to_text
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.contract.verify import verify_program
from tests.stacks import stack

SMALL = stack(depths=(1, 1, 1))
"""PG: the text of its programs is short."""


def applied(program: Program, shape: StackShape, passes: Sequence[ProgramPass]) -> Program:
    """The program after some passes, valid after each and as it was before."""
    for step in passes:
        before = to_text(program)
        after = step.apply(program, shape)
        verify_program(after, shape)
        assert to_text(program) == before
        program = after
    return program


def changed_lines(before: Program, after: Program) -> tuple[list[str], list[str]]:
    """Lines of text that a pass took away, and those that it brought, in order."""
    old, new = ([line.strip() for line in to_text(program).splitlines()] for program in (before, after))
    return [line for line in old if line not in new], [line for line in new if line not in old]
