"""Builds a program op by op: names values, keeps their types, remembers the order."""

from __future__ import annotations

from legoc_runtime.contract.program import Op, Program, Value, ValueType, outputs_of


class Emitter:
    """A program in the making."""

    def __init__(self) -> None:
        self._inputs: list[tuple[Value, ValueType]] = []
        self._ops: list[Op] = []
        self._outputs: list[tuple[str, Value]] = []
        self._types: dict[Value, ValueType] = {}

    def input(self, name: Value, type: ValueType) -> Value:
        """Declare an argument; asking again for the same one gives it back."""
        if name not in self._types:
            self._inputs.append((name, type))
            self._types[name] = type
        return name

    def emit(self, op: Op, *types: ValueType) -> Value:
        """Append an operation whose outputs have these types; gives its (first) output."""
        self._ops.append(op)
        outputs = outputs_of(op)
        self._types.update(zip(outputs, types, strict=True))
        return outputs[0]

    def defines(self, value: Value) -> bool:
        """Whether a value exists already."""
        return value in self._types

    def output(self, name: str, value: Value) -> None:
        """Declare a result."""
        self._outputs.append((name, value))

    def type(self, value: Value) -> ValueType:
        """The type of a value."""
        return self._types[value]

    def program(self, name: str, bricks: tuple[str, ...]) -> Program:
        """The finished program."""
        return Program(name, bricks, tuple(self._inputs), tuple(self._ops), tuple(self._outputs), dict(self._types))
