"""What a spec asks of data, and what is said where data is not so: the same for images and latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from legoc.data.findings import Finding, finding
from legoc_runtime.contract.settings import Resize
from legoc_runtime.contract.stack import EdmConstants, StackShape

SIGMA_TOLERANCE = 1.25
"""A standard deviation that many times larger or smaller than `sigma_data` is told."""

FLAT_STD = 0.02
"""Standard deviation below which a set is almost of one colour."""


@dataclass(frozen=True)
class Wanted:
    """What a spec asks.

    Attributes:
        shape: the stack, or None where no spec was given.
        resize: how images come to its grid.
        flip: whether it trains on mirror images.
    """

    shape: StackShape | None = None
    resize: Resize = "none"
    flip: bool = False

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width that images come to, where they do."""
        return self.shape.grid if self.shape is not None else None


def label_findings(
    labels: Sequence[int] | None, why_absent: str, names: Sequence[str], wanted: Wanted
) -> Iterator[Finding]:
    """Labels that the stack has no class for, or lacks, and classes without examples."""
    classes = None if wanted.shape is None else wanted.shape.classes
    if labels is None:
        if classes is not None:
            said = f"the spec has {classes} classes, the set has no labels: {why_absent}"
            yield finding("labels", said, "give the spec `conditioning: {classes: null}`, or label the examples")
        return
    top = max(labels) + 1
    if classes is not None and top > classes:
        beyond = [name for name, label in zip(names, labels, strict=True) if label >= classes]
        said = f"{len(beyond):,} examples are of classes beyond the spec's 0 to {classes - 1}; the highest is {top - 1}"
        yield finding("labels", said, f"give the spec `conditioning: {{classes: {top}}}`, or mend the labels", beyond)
    expected = max(top, classes or 0)
    if missing := sorted(set(range(expected)) - set(labels)):
        few = ", ".join(map(str, missing[:8])) + (" and so on" if len(missing) > 8 else "")
        said = f"{len(missing):,} of {expected:,} classes have no examples: {few}"
        yield finding("classes", said, "number classes from 0 without gaps, and give the spec as many")


def sigma_findings(std: float, wanted: Wanted) -> Iterator[Finding]:
    """A standard deviation that EDM's preconditioning does not expect."""
    if std < FLAT_STD:
        said = f"values hardly differ: their standard deviation is {std:.3g}"
        yield finding("sigma", said, "see on a contact sheet (--sheet) that these are the right images")
        return
    if wanted.shape is None or not isinstance(wanted.shape.diffusion, EdmConstants):
        return
    expected = wanted.shape.diffusion.sigma_data
    if not 1 / SIGMA_TOLERANCE <= std / expected <= SIGMA_TOLERANCE:
        said = f"the standard deviation is {std:.3g}, the spec's `sigma_data` is {expected:g}"
        yield finding("sigma", said, f"give the spec `diffusion: {{kind: edm, sigma_data: {std:.2g}}}`")
