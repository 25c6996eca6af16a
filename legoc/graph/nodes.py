"""The nodes of the brick graph: a closed union of what a stack is made of, whole bricks at a time.

A node names its inputs by slot; the graph holds the edges. Every node has one value of one type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from legoc.source import Span
from legoc_runtime.contract.program import Image, Label, Scalar, Vector


@dataclass(frozen=True, slots=True)
class Scales:
    """Type of the preconditioning coefficients of a noise level."""

    def __str__(self) -> str:
        return "scales"


GraphType: TypeAlias = Image | Vector | Scalar | Label | Scales


@dataclass(frozen=True, slots=True)
class NoisyImage:
    """The noisy image x_t."""

    kind: ClassVar[str] = "noisy_image"
    required: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class NoiseLevel:
    """Its noise level sigma."""

    kind: ClassVar[str] = "noise_level"
    required: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class ClassLabel:
    """Its class label."""

    kind: ClassVar[str] = "class_label"
    required: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class NoiseScales:
    """c_skip, c_out, c_in and c_noise of a noise level."""

    kind: ClassVar[str] = "noise_scales"
    required: ClassVar[tuple[str, ...]] = ("sigma",)


@dataclass(frozen=True, slots=True)
class ScaledImage:
    """c_in x_t, the noisy image at unit variance."""

    kind: ClassVar[str] = "scaled_image"
    required: ClassVar[tuple[str, ...]] = ("image", "scales")


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The conditioning vector, one an image; `label` is an input when the stack has classes."""

    kind: ClassVar[str] = "conditioning"
    required: ClassVar[tuple[str, ...]] = ("scales",)


@dataclass(frozen=True, slots=True)
class NoEstimateBelow:
    """What a brick reads where nothing ran below it."""

    kind: ClassVar[str] = "no_estimate"
    required: ClassVar[tuple[str, ...]] = ("like",)


@dataclass(frozen=True, slots=True)
class Brick:
    """A brick's network. `below` is an input when the brick has channels for an estimate.

    Attributes:
        id: the brick.
        span: where the user wrote it.
    """

    kind: ClassVar[str] = "brick"
    required: ClassVar[tuple[str, ...]] = ("image", "condition")
    id: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A brick's estimate of the clean image: c_skip x_t + c_out F."""

    kind: ClassVar[str] = "estimate"
    required: ClassVar[tuple[str, ...]] = ("image", "network", "scales")
    id: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Pretrained:
    """The estimate of the clean image by a model that stands for a brick; `label` where it reads one.

    `below` is an input where a brick runs below: the estimate from which on the model denoises.

    Attributes:
        id: the brick.
        span: where the user wrote it.
    """

    kind: ClassVar[str] = "pretrained"
    required: ClassVar[tuple[str, ...]] = ("image", "sigma")
    id: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class AsNetwork:
    """A pretrained brick's estimate in the form that `carry: raw` hands on: F with c_skip x_t + c_out F the estimate.

    Attributes:
        id: the brick.
        span: where the user wrote it.
    """

    kind: ClassVar[str] = "as_network"
    required: ClassVar[tuple[str, ...]] = ("estimate", "image", "scales")
    id: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Bypass:
    """A brick that is left out: hands on what comes from `below`, which is absent when there is nothing."""

    kind: ClassVar[str] = "bypass"
    required: ClassVar[tuple[str, ...]] = ()
    id: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A result of the module."""

    kind: ClassVar[str] = "output"
    required: ClassVar[tuple[str, ...]] = ("value",)


Node: TypeAlias = (
    NoisyImage
    | NoiseLevel
    | ClassLabel
    | NoiseScales
    | ScaledImage
    | Conditioning
    | NoEstimateBelow
    | Brick
    | Estimate
    | Pretrained
    | AsNetwork
    | Bypass
    | Output
)


def span_of(node: Node) -> Span | None:
    """Where the user wrote what a node stands for, if it stands for something the user wrote."""
    match node:
        case Brick(span=span) | Estimate(span=span) | Pretrained(span=span) | AsNetwork(span=span) | Bypass(span=span):
            return span
        case _:
            return None
