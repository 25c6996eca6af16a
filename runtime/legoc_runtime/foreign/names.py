"""Whose names tensors have. Torch-free: a spec is checked with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

Kind = Literal["lego", "dit", "diffusers_dit", "legoc"]
"""Whose names they are; `legoc` are our own."""

TITLES: Mapping[Kind, str] = {
    "lego": "the released LEGO code",
    "dit": "DiT's public code",
    "diffusers_dit": "diffusers' DiTTransformer2DModel",
    "legoc": "legoc",
}

_MARKS: tuple[tuple[str, Kind], ...] = (
    ("model.0.x_embedder.proj.weight", "lego"),
    ("x_embedder.proj.weight", "dit"),
    ("pos_embed.proj.weight", "diffusers_dit"),
    ("conditioning.time.fc1.weight", "legoc"),
)
"""The tensor by which each kind is told; what stands before it is a prefix of all."""

T = TypeVar("T")


def told_by_names(tensors: Mapping[str, T]) -> tuple[Kind, dict[str, T]] | None:
    """Whose names tensors have, and the tensors without their common prefix; None where they are nobody's."""
    for mark, kind in _MARKS:
        for name in tensors:
            if name == mark or name.endswith(f".{mark}"):
                prefix = name.removesuffix(mark)
                return kind, {key.removeprefix(prefix): held for key, held in tensors.items() if key.startswith(prefix)}
    return None
