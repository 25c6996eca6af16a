"""The types of values in a program. The batch axis N is left out of types and text.

Legend: N images, W windows of an image, L tokens of a window, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Value = str
"""The name of an SSA value."""


@dataclass(frozen=True, slots=True)
class Image:
    """[N, channels, height, width]."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"image[{self.channels}x{self.height}x{self.width}]"


@dataclass(frozen=True, slots=True)
class Tokens:
    """[N, windows, tokens, features]."""

    windows: int
    tokens: int
    features: int

    def __str__(self) -> str:
        return f"tokens[{self.windows}x{self.tokens}x{self.features}]"


@dataclass(frozen=True, slots=True)
class Vector:
    """[N, features]."""

    features: int

    def __str__(self) -> str:
        return f"vector[{self.features}]"


@dataclass(frozen=True, slots=True)
class Scalar:
    """[N], floating point."""

    def __str__(self) -> str:
        return "scalar"


@dataclass(frozen=True, slots=True)
class Label:
    """[N], int64; `classes` is the null label."""

    classes: int

    def __str__(self) -> str:
        return f"label[{self.classes}]"


@dataclass(frozen=True, slots=True)
class WindowIndex:
    """[N, taken], int64: which of `windows` windows are run, ascending, without repeats."""

    taken: int
    windows: int

    def __str__(self) -> str:
        return f"index[{self.taken} of {self.windows}]"


ValueType: TypeAlias = Image | Tokens | Vector | Scalar | Label | WindowIndex
