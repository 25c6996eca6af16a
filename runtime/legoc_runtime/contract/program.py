"""IR 2: programs. A flat list of typed operations of a closed set, one program a configuration and one for training.

A program is data: the manifest carries it as JSON and the runtime links it, so that loading a build runs no code
from it.
Every value has one type (`contract/value_types.py`). Weights are named by key, never held. What lowering emits is
defined here, but for what DDPM alone needs (`contract/chain_ops.py`), or a pretrained brick above others
(`contract/refine_ops.py`); what passes bring in besides, in `contract/pass_ops.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias, cast, get_args

from legoc_runtime.contract.chain_ops import DdpmScales, JoinChannels, TakeChannels
from legoc_runtime.contract.pass_ops import (
    Cast,
    EmbedChannels,
    EmbedFolded,
    JoinEstimate,
    ModulateTogether,
    SplitModulations,
)
from legoc_runtime.contract.refine_ops import LessNoise, LowerLevel
from legoc_runtime.contract.stack import CoordinateOrder, LabelForm
from legoc_runtime.contract.value_types import Image as Image
from legoc_runtime.contract.value_types import Label as Label
from legoc_runtime.contract.value_types import Scalar as Scalar
from legoc_runtime.contract.value_types import Tokens as Tokens
from legoc_runtime.contract.value_types import Value as Value
from legoc_runtime.contract.value_types import ValueType as ValueType
from legoc_runtime.contract.value_types import Vector as Vector
from legoc_runtime.contract.value_types import WindowIndex as WindowIndex

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
class OtherWindows:
    """The windows that `index` does not name, ascending: [N, taken] of `windows` to [N, windows - taken]."""

    name: ClassVar[str] = "other_windows"
    brick: str
    index: Value
    windows: int
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
    """The same value; no gradient flows through it (`gradient: detached`, `fill: model`, bricks that are frozen).

    What is read through this alone is computed without gradient: no activation of it is kept.
    """

    name: ClassVar[str] = "detach"
    image: Value
    out: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """The clean image's estimate by the model that stands for a brick (`contract/stack.py:PretrainedShape`).

    Of a noisy image x = x0 + sigma eps: the model's noise level is the one of equal signal-to-noise ratio, its input x
    itself or, for a model of a variance-preserving chain, x / sqrt(1 + sigma^2). Where `label` is None it reads none.
    """

    name: ClassVar[str] = "pretrained"
    brick: str
    image: Value
    sigma: Value
    label: Value | None
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
    | OtherWindows
    | FillClean
    | Unprecondition
    | Detach
    | Pretrained
    | LowerLevel
    | LessNoise
    | DdpmScales
    | TakeChannels
    | JoinChannels
    | JoinEstimate
    | EmbedChannels
    | EmbedFolded
    | ModulateTogether
    | SplitModulations
    | Cast
)

OPS: dict[str, type[Op]] = {op.name: op for op in cast("tuple[type[Op], ...]", get_args(Op))}
"""Name -> operation, for every one that there is."""

_SCALES = ("c_skip", "c_out", "c_in", "c_noise")
_OUTPUT_FIELDS = {"edm_scales": _SCALES, "ddpm_scales": (*_SCALES, "c_below"), "split_modulations": ("outs",)}


def output_fields(name: str) -> tuple[str, ...]:
    """The fields of an operation that name what it defines."""
    return _OUTPUT_FIELDS.get(name, ("out",))


def outputs_of(op: Op) -> tuple[Value, ...]:
    """The values that an operation defines."""
    match op:
        case EdmScales():
            return op.c_skip, op.c_out, op.c_in, op.c_noise
        case DdpmScales():
            return op.c_skip, op.c_out, op.c_in, op.c_noise, op.c_below
        case SplitModulations():
            return op.outs
        case _:
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
    name: tuple(f.name for f in fields(op) if f.type in _VALUE_ANNOTATIONS and f.name not in output_fields(name))
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
        outputs: result name -> value. A sampling program has one, `estimate`, which with a learned variance has the
            channels of the variance after those of the image; a training program has `estimate.ID` for each brick,
            `mask.ID` for those that run a share of their windows, and `variance.ID` with a learned variance.
        types: the type of every value.
    """

    name: str
    bricks: tuple[str, ...]
    inputs: tuple[tuple[Value, ValueType], ...]
    ops: tuple[Op, ...]
    outputs: tuple[tuple[str, Value], ...]
    types: dict[Value, ValueType]
