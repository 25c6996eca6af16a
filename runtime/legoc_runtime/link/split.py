"""Split a program by data dependence: what noise level and label alone decide, and what needs the image.

The first part is conditioning: preconditioning scales, the conditioning vector, the modulation of every block. With the
levels and labels of a run known it is computed once, before the loop. The second part is the body of an evaluation. The
rule looks at what reads what and at nothing else, so that it holds for operations that are added later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from legoc_runtime.contract.program import Label, Op, Program, Scalar, Value, inputs_of, outputs_of
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.contract.verify import verify_program


@dataclass(frozen=True)
class Split:
    """A program in two parts: `body(images, *conditioning(levels and labels))` is the program.

    Attributes:
        conditioning: from the inputs with one number an image (noise level, label) to the values that cross.
        body: from the other inputs, then the values that cross, to the program's results.
        crossing: the values that cross, in order of definition.
    """

    conditioning: Program
    body: Program
    crossing: tuple[Value, ...]


def split(program: Program, shape: StackShape) -> Split:
    """Split a sampling program.

    An operation belongs to the conditioning part when something it reads comes from noise levels or labels and nothing
    it reads comes from an image. One that reads nothing of either is a constant, and stands in each part that reads it.

    Raises:
        RunError: the program, or a part of it, is not valid for the stack.
    """
    verify_program(program, shape)
    levels = tuple((name, type) for name, type in program.inputs if isinstance(type, Scalar | Label))
    images = tuple((name, type) for name, type in program.inputs if not isinstance(type, Scalar | Label))
    from_levels, from_images = _origins(program, levels, images)
    own = [op for op in program.ops if _touches(op, from_levels) and not _touches(op, from_images)]
    rest = [op for op in program.ops if _touches(op, from_images)]
    results = {value for _, value in program.outputs}
    read = results.union(*(inputs_of(op) for op in rest))
    known = [*(name for name, _ in levels), *(value for op in program.ops for value in outputs_of(op))]
    crossing = tuple(value for value in known if value in read and value in from_levels and value not in from_images)
    constants = [op for op in program.ops if not _touches(op, from_levels) and not _touches(op, from_images)]
    conditioning = _part(
        program,
        f"{program.name}/conditioning",
        levels,
        _needed(constants, own) + own,
        tuple((value, value) for value in crossing),
    )
    crossed = tuple((value, program.types[value]) for value in crossing)
    body = _part(program, program.name, images + crossed, _needed(constants, rest, results) + rest, program.outputs)
    for part in (conditioning, body):
        verify_program(part, shape)
    return Split(conditioning, body, crossing)


def _origins(
    program: Program, levels: Iterable[tuple[Value, object]], images: Iterable[tuple[Value, object]]
) -> tuple[set[Value], set[Value]]:
    """The values that depend on a noise level or label, and those that depend on an image; some do on both."""
    from_levels, from_images = {name for name, _ in levels}, {name for name, _ in images}
    for op in program.ops:
        for origin in (from_levels, from_images):
            if _touches(op, origin):
                origin.update(outputs_of(op))
    return from_levels, from_images


def _touches(op: Op, values: set[Value]) -> bool:
    return any(value in values for value in inputs_of(op))


def _needed(constants: list[Op], ops: list[Op], results: Iterable[Value] = ()) -> list[Op]:
    """The constants that these operations or results read, through other constants too, in program order."""
    read = set(results).union(*(inputs_of(op) for op in ops))
    kept: list[Op] = []
    for op in reversed(constants):
        if read.intersection(outputs_of(op)):
            kept.append(op)
            read.update(inputs_of(op))
    return kept[::-1]


def _part(
    program: Program,
    name: str,
    inputs: tuple[tuple[Value, object], ...],
    ops: list[Op],
    outputs: tuple[tuple[str, Value], ...],
) -> Program:
    defined = [*(value for value, _ in inputs), *(value for op in ops for value in outputs_of(op))]
    types = {value: program.types[value] for value in defined}
    given = tuple((value, program.types[value]) for value, _ in inputs)
    return replace(program, name=name, inputs=given, ops=tuple(ops), outputs=outputs, types=types)
