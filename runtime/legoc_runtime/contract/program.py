"""IR 2: programs. A flat list of typed operations of a closed set, one program a configuration and one for training.

A program is data: the manifest carries it as JSON and the runtime links it, so that loading a build runs no code
from it.
Every value has one type; the batch axis N is left out of types and text. Weights are named by key, never held.

Legend: N images, W windows of an image, L tokens of a window, F features.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias

from legoc_runtime.contract.stack import CoordinateOrder, LabelForm

Value = str
"""The name of an SSA value."""


# Types -------------------------------------------------------------------------------------------------------------


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


# Operations --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EdmScales:
    """EDM's preconditioning coefficients, Table 1: c_skip, c_out, c_in, c_noise = ln(sigma)/4; one number an image."""

    name: ClassVar[str] = "edm_scales"
    sigma: Value
    c_skip: Value
    c_out: Value
    c_in: Value
    c_noise: Value
    sigma_data: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleImage:
    """`image` times one number an image."""

    name: ClassVar[str] = "scale_image"
    image: Value
    scale: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """SiLU(time embedding + label embedding): one row an image, shared by all bricks, blocks and windows.

    The time embedding is of `time_scale` times `time`.
    """

    name: ClassVar[str] = "condition"
    time: Value
    label: Value | None
    form: LabelForm | None
    time_scale: float
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class NoEstimate:
    """Stands for the estimate where no brick ran below (z(0) = empty in the paper): zeros of the shape of `like`."""

    name: ClassVar[str] = "no_estimate"
    like: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Concatenate images and pixel coordinates along channels, cut windows in row-major order, cut tokens likewise.

    A token's numbers are laid out (channel, row, column). Coordinates run from -1 to 1 inclusive over the whole grid.
    The first window starts at `offset`; windows that cross the border go on at the other side.
    """

    name: ClassVar[str] = "partition"
    brick: str
    images: tuple[Value, ...]
    coordinates: CoordinateOrder
    window: tuple[int, int]
    offset: tuple[int, int]
    receptive_field: int
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeWindows:
    """Keep the windows that `index` names, in its order."""

    name: ClassVar[str] = "take_windows"
    brick: str
    tokens: Value
    index: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Linear embedding of tokens plus the brick's sine-cosine position table."""

    name: ClassVar[str] = "embed"
    brick: str
    tokens: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Modulate:
    """A linear layer on the conditioning: 6 vectors for block `block`, 2 for the final layer (`block` is None)."""

    name: ClassVar[str] = "modulate"
    brick: str
    block: int | None
    condition: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Attend:
    """tokens + gate * attention(LN(tokens) * (1 + scale) + shift), inside each window."""

    name: ClassVar[str] = "attend"
    brick: str
    block: int
    heads: int
    tokens: Value
    modulation: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Mlp:
    """tokens + gate * mlp(LN(tokens) * (1 + scale) + shift); GELU is the tanh form."""

    name: ClassVar[str] = "mlp"
    brick: str
    block: int
    tokens: Value
    modulation: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """Linear(LN(tokens) * (1 + scale) + shift): a token's pixels, laid out (row, column, channel)."""

    name: ClassVar[str] = "decode"
    brick: str
    tokens: Value
    modulation: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class PutWindows:
    """The inverse of `TakeWindows`; windows that were not taken are zero."""

    name: ClassVar[str] = "put_windows"
    brick: str
    tokens: Value
    index: Value
    windows: int
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Decoded windows back to an image: the inverse of `Partition` on (row, column, channel) tokens."""

    name: ClassVar[str] = "merge"
    brick: str
    tokens: Value
    grid: tuple[int, int]
    window: tuple[int, int]
    offset: tuple[int, int]
    receptive_field: int
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """The estimate of the clean image: c_skip * image + c_out * network (EDM, Eq. 7)."""

    name: ClassVar[str] = "precondition"
    image: Value
    network: Value
    c_skip: Value
    c_out: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowMask:
    """[N, 1, H, W]: 1 where a window is named by `index`, else 0."""

    name: ClassVar[str] = "window_mask"
    brick: str
    index: Value
    grid: tuple[int, int]
    window: tuple[int, int]
    offset: tuple[int, int]
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class FillClean:
    """`estimate` where `mask` is 1, `clean` elsewhere (paper, Appendix C: missing patches come from x0)."""

    name: ClassVar[str] = "fill_clean"
    estimate: Value
    clean: Value
    mask: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Unprecondition:
    """The network output whose estimate is `clean`: (clean - c_skip * image) / c_out."""

    name: ClassVar[str] = "unprecondition"
    clean: Value
    image: Value
    c_skip: Value
    c_out: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """The same image; no gradient flows through it (`gradient: detached`)."""

    name: ClassVar[str] = "detach"
    image: Value
    out: Value


Op: TypeAlias = (
    EdmScales
    | ScaleImage
    | Condition
    | NoEstimate
    | Partition
    | TakeWindows
    | Embed
    | Modulate
    | Attend
    | Mlp
    | Decode
    | PutWindows
    | Merge
    | Precondition
    | WindowMask
    | FillClean
    | Unprecondition
    | Detach
)

OPS: dict[str, type[Op]] = {
    op.name: op
    for op in (
        EdmScales,
        ScaleImage,
        Condition,
        NoEstimate,
        Partition,
        TakeWindows,
        Embed,
        Modulate,
        Attend,
        Mlp,
        Decode,
        PutWindows,
        Merge,
        Precondition,
        WindowMask,
        FillClean,
        Unprecondition,
        Detach,
    )
}

OUTPUT_FIELDS = ("out", "c_skip", "c_out", "c_in", "c_noise")


def outputs_of(op: Op) -> tuple[Value, ...]:
    """The values that an operation defines."""
    if isinstance(op, EdmScales):
        return op.c_skip, op.c_out, op.c_in, op.c_noise
    return (op.out,)


def inputs_of(op: Op) -> tuple[Value, ...]:
    """The values that an operation reads, in field order."""
    found: list[Value] = []
    for name in INPUT_FIELDS[op.name]:
        value: Value | tuple[Value, ...] | None = getattr(op, name)
        if isinstance(value, tuple):
            found.extend(value)
        elif value is not None:
            found.append(value)
    return tuple(found)


_VALUE_ANNOTATIONS = ("Value", "Value | None", "tuple[Value, ...]")
INPUT_FIELDS: dict[str, tuple[str, ...]] = {
    name: tuple(
        f.name
        for f in fields(op)
        if f.type in _VALUE_ANNOTATIONS and not (f.name in OUTPUT_FIELDS and (name == "edm_scales" or f.name == "out"))
    )
    for name, op in OPS.items()
}
"""Name of an operation -> its fields that are values it reads."""


@dataclass(frozen=True, slots=True)
class Program:
    """One module, as data.

    Attributes:
        name: the configuration's name, or `training`.
        bricks: ids of the bricks that run, bottom to top.
        inputs: names and types of the arguments, in order.
        ops: the operations, in an order in which every value is defined before it is read.
        outputs: result name -> value. A sampling program has one, `estimate`; a training program has `estimate.ID`
            for each brick, and `mask.ID` for those that run a share of their windows.
        types: the type of every value.
    """

    name: str
    bricks: tuple[str, ...]
    inputs: tuple[tuple[Value, ValueType], ...]
    ops: tuple[Op, ...]
    outputs: tuple[tuple[str, Value], ...]
    types: dict[Value, ValueType]
