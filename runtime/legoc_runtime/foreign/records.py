"""What a pickle describes, as inert data: names are kept as text, and nothing that they name is looked up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from legoc_runtime.errors import RunError


@dataclass(frozen=True, slots=True)
class Name:
    """What a pickle calls by module and name; text alone.

    Attributes:
        module: the module's name.
        name: the name in it.
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class Instance:
    """What would have been an object of a class: the class's name, and the attributes that the pickle gives it.

    Attributes:
        name: full name of the class.
        state: its attributes.
    """

    name: str
    state: dict[Any, Any] = field(default_factory=dict[Any, Any])


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers.

    Attributes:
        dtype: their type, as torch names it.
        count: how many there are.
        read: gives their bytes, little-endian; raises RunError where the file does not hold them.
    """

    dtype: str
    count: int
    read: Callable[[], memoryview]


@dataclass(frozen=True, slots=True)
class PickledTensor:
    """A tensor over a storage; nothing of it is read before `span`.

    Attributes:
        storage: its numbers.
        offset: where it begins in them.
        shape: its shape.
        stride: steps between neighbours, an axis each.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what does not lie in its storage, or is larger than it.

        Raises:
            RunError: says which.
        """
        sizes = (self.offset, *self.shape, *self.stride)
        if len(self.shape) != len(self.stride) or len(self.shape) > 8 or min(sizes) < 0:
            raise RunError("a tensor has no sensible shape")
        last = sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))
        empty = prod(self.shape) == 0
        # a stride of 0 makes a huge tensor of a small storage: no weight has one
        if not empty and (self.offset + last >= self.storage.count or prod(self.shape) > self.storage.count):
            raise RunError("a tensor reaches beyond the numbers that it is made of")

    def span(self) -> memoryview:
        """The bytes that it uses, from its first number to its last; none for a tensor without numbers.

        Raises:
            RunError: the file does not hold them.
        """
        if prod(self.shape) == 0:
            return memoryview(b"")
        size = DTYPE_BYTES[self.storage.dtype]
        last = sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))
        return self.storage.read()[self.offset * size : (self.offset + last + 1) * size]


DTYPE_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of a number, by the type's name in torch."""
