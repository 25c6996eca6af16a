"""What every section of a spec as people write it is made of (`spec/written.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core.core_schema import ValidationInfo

from legoc.spec.readers import not_null


class Section(BaseModel):
    """What all sections share: strict types, no unknown keys, no infinities, `null` only where it means something."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)
    required: ClassVar[frozenset[str]] = frozenset()
    nullable: ClassVar[frozenset[str]] = frozenset()
    instead: ClassVar[Mapping[str, str]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def null_means_something(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `null` for a key that is not `nullable`."""
        return value if info.field_name in cls.nullable else not_null(value)
