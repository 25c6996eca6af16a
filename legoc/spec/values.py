"""The values that specs are made of: types with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PlainValidator, StringConstraints

from legoc.spec.readers import (
    MAX_COUNT,
    MAX_PICTURE_SIDE,
    MAX_SIDE,
    average,
    channels,
    classes,
    count_from_zero,
    interval,
    offset,
    picture_size,
    positive_count,
    seeds,
    size,
)

Size: TypeAlias = tuple[int, int] | Literal["image"]
_SizeText = Annotated[str, StringConstraints(pattern=r"\A[0-9]{1,6} ?x ?[0-9]{1,6}\z")]
_CountText = Annotated[str, StringConstraints(pattern=r"\A[0-9]{1,15}(\.[0-9]{1,15})?[kMG]\z")]
_SizeInput = Annotated[int, Field(ge=1, le=MAX_SIDE)] | Literal["image"] | _SizeText
_NotNegative = Annotated[int, Field(ge=0)]
_OffsetInput = _NotNegative | _SizeText
_PictureSizeInput = Literal["grid"] | Annotated[int, Field(ge=1, le=MAX_PICTURE_SIDE)] | _SizeText
_PositiveInput = Annotated[int, Field(ge=1, le=MAX_COUNT)] | _CountText
_CountInput = Annotated[int, Field(ge=0, le=MAX_COUNT)] | _CountText
_SeedsText = Annotated[str, StringConstraints(pattern=r"\A[0-9]+(-[0-9]+)?( ?, ?[0-9]+(-[0-9]+)?)*\z")]
_ClassesText = Annotated[str, StringConstraints(pattern=r"\A[0-9]+( ?, ?[0-9]+)*\z")]
_ClassesInput = (
    Literal["balanced", "random"] | _NotNegative | Annotated[list[_NotNegative], Field(min_length=1)] | _ClassesText
)
_ProfileText = Annotated[str, StringConstraints(pattern=r"\Aprofile-0?\.[0-9]+\z")]
_AverageInput = Literal["first", "none"] | Annotated[float, Field(gt=0, lt=1)] | _ProfileText
_ChannelsInput = Literal["all"] | Annotated[int, Field(ge=1, le=999_999)]
_IntervalInput = Literal["all"] | Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)]
WrittenSize = Annotated[Size, PlainValidator(size, json_schema_input_type=_SizeInput)]
WrittenOffset = Annotated[tuple[int, int], PlainValidator(offset, json_schema_input_type=_OffsetInput)]
WrittenPictureSize = Annotated[str, PlainValidator(picture_size, json_schema_input_type=_PictureSizeInput)]
WrittenSeeds = Annotated[str, PlainValidator(seeds, json_schema_input_type=_NotNegative | _SeedsText)]
WrittenClasses = Annotated[str, PlainValidator(classes, json_schema_input_type=_ClassesInput)]
WrittenChannels = Annotated[str, PlainValidator(channels, json_schema_input_type=_ChannelsInput)]
WrittenInterval = Annotated[str, PlainValidator(interval, json_schema_input_type=_IntervalInput)]
WrittenAverage = Annotated[str, PlainValidator(average, json_schema_input_type=_AverageInput)]
PositiveCount = Annotated[int, PlainValidator(positive_count, json_schema_input_type=_PositiveInput)]
Count = Annotated[int, PlainValidator(count_from_zero, json_schema_input_type=_CountInput)]
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
