"""Keep the noisy image, the noise level and the estimates in float32, whatever the type of the weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from legoc.lower.passes.rewrite import reading, with_ops
from legoc_runtime.contract.pass_ops import Cast, EmbedChannels, EmbedFolded
from legoc_runtime.contract.program import Decode, Embed, Op, Program, Value, ValueType
from legoc_runtime.contract.stack import StackShape


@dataclass(frozen=True)
class Float32Islands:
    """Pixels take the type of the weights before they are embedded, and that of the state once they are decoded.

    So noise level, preconditioning and the running estimate are float32 with weights in bfloat16 or float16; LN's
    statistics, softmax and the sinusoids of the noise level are so within their operations.

    Exact where the weights are float32 or float64: both types are one then, and nothing is cast.
    """

    name: ClassVar[str] = "float32-islands"

    def apply(self, program: Program, shape: StackShape) -> Program:
        """The program with its casts."""
        types: dict[Value, ValueType] = dict(program.types)
        instead: dict[Value, Value] = {}
        ops: list[Op] = []
        for op in (reading(op, instead) for op in program.ops):
            match op:
                case Embed() | EmbedChannels() | EmbedFolded():
                    cast = Cast(value=op.tokens, to="weights", out=f"{op.brick}.narrow")
                    types[cast.out] = types[op.tokens]
                    ops += [cast, replace(op, tokens=cast.out)]
                case Decode(brick=brick, out=out):
                    cast = Cast(value=out, to="state", out=f"{brick}.wide")
                    types[cast.out] = types[out]
                    instead[out] = cast.out
                    ops += [op, cast]
                case _:
                    ops.append(op)
        return with_ops(program, ops, types)
