"""The values that specs are made of: types with their bounds, and text such as `350M` or `8x16` read to numbers."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainValidator, StringConstraints
from pydantic_core import PydanticCustomError

_SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
MAX_SIDE = 16384
"""Pixels of a grid's side; what is larger is a slip, and divisors are looked for up to it."""

MAX_COUNT = 10**15


def _count(value: Any) -> int:
    """A number of images: a whole number, or text such as `350M`, `10k`, `1.5M`."""
    if type(value) is int:
        count = Decimal(value)
    elif isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)([kMG])", value)
        if match is None:
            raise PydanticCustomError("text", "a whole number, or one with k, M or G such as 350M or 10k")
        count = Decimal(match[1]) * _SUFFIXES[match[2]]
    else:
        raise PydanticCustomError("type", "a whole number, or one with k, M or G such as 350M or 10k")
    if count != int(count):
        raise PydanticCustomError("text", "a whole number of images")
    if count > MAX_COUNT:
        raise PydanticCustomError("range", "at most {limit}", {"limit": f"{MAX_COUNT:,}"})
    return int(count)


def _positive_count(value: Any) -> int:
    count = _count(value)
    if count < 1:
        raise PydanticCustomError("range", "at least 1")
    return count


def _count_from_zero(value: Any) -> int:
    count = _count(value)
    if count < 0:
        raise PydanticCustomError("range", "at least 0")
    return count


def _size(value: Any) -> tuple[int, int] | Literal["image"]:
    """A window: one number, `HxW`, or `image` for the whole grid."""
    expected = "a number of pixels, height x width such as 8x16, or image"
    if value == "image":
        return "image"
    if type(value) is int:
        sides = (value, value)
    elif isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,6}) ?x ?([0-9]{1,6})", value)
        if match is None:
            raise PydanticCustomError("text", expected)
        sides = (int(match[1]), int(match[2]))
    else:
        raise PydanticCustomError("type", expected)
    if min(sides) < 1:
        raise PydanticCustomError("range", "at least 1")
    if max(sides) > MAX_SIDE:
        raise PydanticCustomError("range", "at most {limit}", {"limit": f"{MAX_SIDE:,}"})
    return sides


def _offset(value: Any) -> tuple[int, int]:
    """A shift of windows: one number of pixels for rows and columns, or `HxW`."""
    expected = "a number of pixels, or rows x columns such as 2x4"
    if type(value) is int:
        sides = (value, value)
    elif isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,6}) ?x ?([0-9]{1,6})", value)
        if match is None:
            raise PydanticCustomError("text", expected)
        sides = (int(match[1]), int(match[2]))
    else:
        raise PydanticCustomError("type", expected)
    if min(sides) < 0:
        raise PydanticCustomError("range", "at least 0")
    return sides


Size: TypeAlias = tuple[int, int] | Literal["image"]
_SizeText = Annotated[str, StringConstraints(pattern=r"\A[0-9]{1,6} ?x ?[0-9]{1,6}\z")]
_CountText = Annotated[str, StringConstraints(pattern=r"\A[0-9]{1,15}(\.[0-9]{1,15})?[kMG]\z")]
_SizeInput = Annotated[int, Field(ge=1, le=MAX_SIDE)] | Literal["image"] | _SizeText
_OffsetInput = Annotated[int, Field(ge=0)] | _SizeText
_PositiveInput = Annotated[int, Field(ge=1, le=MAX_COUNT)] | _CountText
_CountInput = Annotated[int, Field(ge=0, le=MAX_COUNT)] | _CountText
WrittenSize = Annotated[Size, PlainValidator(_size, json_schema_input_type=_SizeInput)]
WrittenOffset = Annotated[tuple[int, int], PlainValidator(_offset, json_schema_input_type=_OffsetInput)]
PositiveCount = Annotated[int, PlainValidator(_positive_count, json_schema_input_type=_PositiveInput)]
Count = Annotated[int, PlainValidator(_count_from_zero, json_schema_input_type=_CountInput)]
Text = Annotated[str, StringConstraints(max_length=2000)]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
StackName = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z")]
BrickId = Annotated[str, StringConstraints(pattern=r"\A[a-z][a-z0-9_]{0,63}\z")]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Width = Annotated[int, Field(ge=4, le=65536)]
Share = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Beta = Annotated[float, Field(ge=1e-9, lt=1)]
"""Smaller ones vanish beside 1, and with them the noise."""
DiffusionKind = Literal["edm", "ddpm"]
MAX_TIMESTEPS = 10_000
