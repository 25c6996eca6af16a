"""What is said of a set of images or latents, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

CHECK_VERSION = 1
INFO_VERSION = 1

EXAMPLES = 5
"""Names that a finding gives; `count` says how many there are."""

Kind = Literal[
    "unreadable", "size", "channels", "labels", "classes", "duplicates", "held-out", "flat", "range", "sigma", "flip",
    "checksum",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or is probably not meant.

    Attributes:
        kind: what it is about.
        message: what was found.
        help: what to do.
        count: how many examples it concerns; 0 where it is about the set.
        examples: some of their names.
    """

    kind: Kind
    message: str
    help: str
    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class of a set: its number, its name where the set tells, and how many examples are of it."""

    label: int
    name: str | None
    examples: int


@dataclass(frozen=True, slots=True)
class SizeCount:
    """How many images have a size."""

    height: int
    width: int
    examples: int


@dataclass(frozen=True, slots=True)
class Values:
    """What a stack would train on: images in [-1, 1], or scaled latents.

    Attributes:
        low: the smallest value; of latents, of their means.
        high: the largest.
        mean: the mean.
        std: the standard deviation, for `sigma_data`.
    """

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True)
class DataReport:
    """A set.

    Attributes:
        path: where it is.
        form: pictures or latents.
        examples: how many it holds, unreadable ones too.
        channels: 1 where every image is gray, 3 where not; of a latent.
        sizes: sizes of the images as they are in the set, the most frequent first.
        classes: its classes, or None.
        labels: how many classes there are, or why there are none.
        values: what a stack would train on; None where pixels were not read.
        findings: what is wrong.
    """

    path: str
    form: Literal["images", "latents"]
    examples: int
    channels: int
    sizes: tuple[SizeCount, ...]
    classes: tuple[ClassCount, ...] | None
    labels: str
    values: Values | None = None
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data: of a check where values were read, else of what the set holds."""
        body = asdict(self)
        if self.values is not None:
            return {"data_check_version": CHECK_VERSION, **body}
        return {"data_info_version": INFO_VERSION, **{k: v for k, v in body.items() if k not in ("values", "findings")}}


def finding(kind: Kind, message: str, help: str, names: Sequence[str] = ()) -> Finding:
    """A finding about the examples of these names."""
    return Finding(kind, message, help, len(names), tuple(names[:EXAMPLES]))


def count_classes(labels: Sequence[int] | None, names: Sequence[str] | None) -> tuple[ClassCount, ...] | None:
    """How many examples each class has, by its number; None without labels."""
    if labels is None:
        return None
    counts: dict[int, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    named = dict(enumerate(names or ()))
    return tuple(ClassCount(label, named.get(label), counts[label]) for label in sorted(counts))
