"""The verifier of programs.

Run by the compiler after lowering and by the runtime before linking, so that a damaged or foreign manifest is refused
in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from legoc_runtime.contract.pass_ops import EmbedFolded, JoinEstimate, ModulateTogether
from legoc_runtime.contract.program import (
    Attend,
    Modulate,
    Op,
    Partition,
    Pretrained,
    Program,
    Tokens,
    Vector,
    inputs_of,
    outputs_of,
)
from legoc_runtime.contract.refine_ops import LessNoise, LowerLevel
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.contract.type_rules import expected_types
from legoc_runtime.errors import RunError


@dataclass(frozen=True)
class Fault:
    """Something wrong with a program.

    Attributes:
        message: what, in words.
        brick: the brick that it belongs to, or None.
        invariant: the rule that it breaks, or empty where a pass says what it cannot do.
    """

    message: str
    brick: str | None = None
    invariant: str = ""

    def __str__(self) -> str:
        return f"{self.message} [{self.invariant}]" if self.invariant else self.message


_Finding = tuple[Op | None, str]
"""The operation that is wrong, where it is one, and what is wrong with it."""


def _defined_before_read(program: Program, shape: StackShape) -> Iterator[_Finding]:
    defined = {name for name, _ in program.inputs}
    for op in program.ops:
        for value in inputs_of(op):
            if value not in defined:
                yield op, f"`{op.name}` reads %{value} before it is defined"
        defined.update(outputs_of(op))
    for name, value in program.outputs:
        if value not in defined:
            yield None, f"result `{name}` is %{value}, which is never defined"


def _defined_once(program: Program, shape: StackShape) -> Iterator[_Finding]:
    seen = {name for name, _ in program.inputs}
    for op in program.ops:
        for value in outputs_of(op):
            if value in seen:
                yield op, f"%{value} is defined twice"
            seen.add(value)


def _typed(program: Program, shape: StackShape) -> Iterator[_Finding]:
    values = {name for name, _ in program.inputs}.union(*(outputs_of(op) for op in program.ops))
    for value in sorted(values ^ program.types.keys()):
        yield None, f"%{value} has no type" if value in values else f"the type of %{value} belongs to nothing"


def _bricks_exist(program: Program, shape: StackShape) -> Iterator[_Finding]:
    for op in program.ops:
        brick: str | None = getattr(op, "brick", None)
        named = op.bricks if isinstance(op, ModulateTogether) else () if brick is None else (brick,)
        for id in named:
            if id not in shape.ids or id not in program.bricks:
                yield op, f"`{op.name}` belongs to a brick `{id}` that the program does not run"
            elif (shape.runs_pretrained((id,)) is not None) != isinstance(op, Pretrained | LowerLevel | LessNoise):
                yield op, f"`{op.name}` and the brick `{id}` are not of one kind"
        block: int | None = getattr(op, "block", None)
        if (
            block is not None
            and brick in {own.id for own in shape.bricks}
            and not 0 <= block < shape.brick(brick).depth
        ):
            yield op, f"`{op.name}` names block {block}; brick `{brick}` has {shape.brick(brick).depth}"


def _widths_agree(program: Program, shape: StackShape) -> Iterator[_Finding]:
    for op in program.ops:
        match op:
            case Modulate(brick=brick, block=block, out=out):
                expected = (2 if block is None else 6) * shape.brick(brick).width
                type = program.types[out]
                if not isinstance(type, Vector) or type.features != expected:
                    yield op, f"%{out} has type {type}; brick `{brick}` modulates with {expected} features"
            case Attend(brick=brick, tokens=tokens):
                type = program.types[tokens]
                if not isinstance(type, Tokens) or type.features != shape.brick(brick).width:
                    yield op, f"%{tokens} has type {type}; brick `{brick}` is {shape.brick(brick).width} wide"
            case _:
                pass


def _layouts_exist(program: Program, shape: StackShape) -> Iterator[_Finding]:
    known = {brick.layout for brick in shape.bricks}
    for op in program.ops:
        for name in ("layout", "source", "target"):
            layout: object = getattr(op, name, None)
            if layout is not None and layout not in known:
                yield op, f"`{op.name}` has a layout {layout} that no brick of the stack has"
        match op:
            case EmbedFolded(brick=brick, layout=layout) | JoinEstimate(brick=brick, target=layout):
                if layout != (own := shape.brick(brick).layout):
                    yield op, f"`{op.name}` has the layout {layout}; brick `{brick}` has {own}"
            case _:
                pass


def _coordinates_are_the_stacks(program: Program, shape: StackShape) -> Iterator[_Finding]:
    """A module has the stack's coordinates, whatever order an operation names: no operation may name another."""
    for op in program.ops:
        match op:
            case Partition(coordinates=order) | JoinEstimate(coordinates=order):
                fits = order in ("none", shape.coordinates)
            case EmbedFolded(brick=brick, coordinates=order):
                fits = order == (shape.coordinates if shape.brick(brick).coordinates else "none")
            case _:
                continue
        if not fits:
            yield op, f"`{op.name}` has coordinates `{order}`; those of the stack are `{shape.coordinates}`"


def _types_follow(program: Program, shape: StackShape) -> Iterator[_Finding]:
    for op in program.ops:
        for value, expected in expected_types(op, program.types, shape):
            if program.types[value] != expected:
                yield op, f"%{value} has type {program.types[value]}; `{op.name}` needs {expected}"


INVARIANTS: dict[str, Callable[[Program, StackShape], Iterator[_Finding]]] = {
    "defined once": _defined_once,
    "defined before read": _defined_before_read,
    "typed": _typed,
    "bricks exist": _bricks_exist,
    "widths agree": _widths_agree,
    "layouts exist": _layouts_exist,
    "coordinates are the stack's": _coordinates_are_the_stacks,
    "types follow": _types_follow,
}


def faults(program: Program, shape: StackShape) -> list[Fault]:
    """Every fault under the first invariant that does not hold; empty for a valid program."""
    for name, check in INVARIANTS.items():
        if found := [Fault(message, getattr(op, "brick", None), name) for op, message in check(program, shape)]:
            return found
    return []


def verify_program(program: Program, shape: StackShape) -> None:
    """Raise RunError with the first violation of an invariant.

    Raises:
        RunError: the program does not fit its stack.
    """
    for fault in faults(program, shape):
        raise RunError(
            f"program `{program.name}` is not valid: {fault}",
            help="build it again with `legoc build`; if it was just built, this is a fault of legoc",
        )
