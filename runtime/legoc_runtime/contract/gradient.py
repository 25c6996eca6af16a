"""Which operations of a program no gradient flows through."""

from __future__ import annotations

from legoc_runtime.contract.program import Detach, Op, Program, inputs_of, outputs_of


def without_gradient(program: Program) -> frozenset[Op]:
    """The operations whose results reach the program's own only through a `Detach`, or not at all."""
    wanted = {value for _, value in program.outputs}
    found: set[Op] = set()
    for op in reversed(program.ops):
        if wanted.isdisjoint(outputs_of(op)):
            found.add(op)
        elif not isinstance(op, Detach):
            wanted.update(inputs_of(op))
    return frozenset(found)
