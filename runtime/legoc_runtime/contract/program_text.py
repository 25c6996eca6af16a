"""The stable text form of a program: what `--print-after` shows and tests compare."""

from __future__ import annotations

from dataclasses import fields
from typing import cast

from legoc_runtime.contract.program import INPUT_FIELDS, Op, Program, inputs_of, output_fields, outputs_of


def to_text(program: Program) -> str:
    """One line an operation: results with their types, the operation, what it reads, its attributes."""
    arguments = ", ".join(f"%{name}: {type}" for name, type in program.inputs)
    lines = [f"program {program.name}({arguments}) {{"]
    lines += [f"  {_line(program, op)}" for op in program.ops]
    lines.append("  return " + ", ".join(f"{name}=%{value}" for name, value in program.outputs))
    return "\n".join([*lines, "}"]) + "\n"


def _line(program: Program, op: Op) -> str:
    results = ", ".join(f"%{value}: {program.types[value]}" for value in outputs_of(op))
    values = {*INPUT_FIELDS[op.name], *output_fields(op.name)}
    attributes: list[str] = []
    for f in fields(op):
        attribute: object = getattr(op, f.name)
        if f.name in values or attribute is None:
            continue
        if f.name == "offset" and attribute == (0, 0):
            continue
        attributes.append(f"{f.name}={_attribute(attribute)}")
    reads = ", ".join(f"%{value}" for value in inputs_of(op))
    return f"{results} = {op.name}({reads})" + (f" {{{', '.join(attributes)}}}" if attributes else "")


def _attribute(attribute: object) -> str:
    match attribute:
        case (int(first), int(second)):
            return f"{first}x{second}"
        case tuple():
            return "+".join(map(str, cast("tuple[object, ...]", attribute)))
        case _:
            return str(attribute)
