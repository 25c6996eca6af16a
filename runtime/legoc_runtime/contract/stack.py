"""The shape of a stack: what the weights are, which windows a brick sees, what it hands on.

Everything here is arithmetic on integers. The compiler prices and lowers from it, the runtime allocates from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal, TypeAlias

from legoc_runtime.contract.settings import PretrainedKind
from legoc_runtime.errors import UsageError

Carry = Literal["x0", "raw"]
CoordinateOrder = Literal["row_column", "column_row", "none"]
LabelForm = Literal["table", "linear"]
Variance = Literal["fixed_small", "fixed_large", "learned_range"]
Prediction = Literal["x0", "sample", "epsilon", "v_prediction"]

TIME_FREQUENCIES = 128
"""Sinusoid frequencies of the time embedding; its width is twice this (DiT, released LEGO)."""


@dataclass(frozen=True, slots=True)
class EdmConstants:
    """Constants of EDM (Karras et al. 2022, Table 1): preconditioning, training noise, sampling schedule."""

    kind: ClassVar[Literal["edm"]] = "edm"
    sigma_data: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    p_mean: float = -1.2
    p_std: float = 1.2


@dataclass(frozen=True, slots=True)
class DdpmConstants:
    """Constants of DDPM (Ho et al. 2020): a chain of `steps` timesteps whose betas rise linearly.

    Attributes:
        steps: timesteps T of the chain, 2 or more.
        beta_start: beta of timestep 0, from 1e-9 to less than 1.
        beta_end: beta of timestep T-1, from 1e-9 to less than 1.
        variance: variance of the reverse process. `fixed_small`: of the posterior; `fixed_large`: beta;
            `learned_range`: the network interpolates between the two (Nichol and Dhariwal 2021, Eq. 15), which takes
            as many further output channels as the image has.
    """

    kind: ClassVar[Literal["ddpm"]] = "ddpm"
    steps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    variance: Variance = "fixed_small"


Diffusion: TypeAlias = EdmConstants | DdpmConstants
"""The diffusion of a stack; told apart by `kind`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a brick cuts an image: all its pixels in the brick's order. Bricks with equal layouts see the same tokens.

    Attributes:
        window: height and width of a window, in pixels.
        receptive_field: side of a token, in pixels.
        offset: row and column at which the first window starts.
    """

    window: tuple[int, int]
    receptive_field: int
    offset: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        offset = "" if self.offset == (0, 0) else "+{}+{}".format(*self.offset)
        return "{}x{}".format(*self.window) + f"/{self.receptive_field}{offset}"


@dataclass(frozen=True, slots=True)
class BrickShape:
    """One brick: a small Transformer over windows of the full-resolution grid.

    Attributes:
        id: name of the brick; names its weights.
        window: height and width of a window, in pixels of the grid.
        grid: height and width of the grid, in pixels.
        receptive_field: side of a token, in pixels.
        depth: number of Transformer blocks.
        width: features of a token.
        heads: attention heads; divides `width`.
        mlp_ratio: hidden features of the MLP over `width`.
        channels: channels of the image.
        coordinates: channels of pixel coordinates that the brick reads (2 or 0).
        takes_estimate: whether the brick has input channels for an estimate from below.
        condition_width: features of the conditioning vector.
        train_patches: share of the windows that a training step runs, in (0, 1].
        loss_weight: weight of the brick's own loss.
        offset: rows and columns by which the windows are shifted, by a cyclic roll, so that seams of neighbours need
            not coincide; at least 0 and smaller than the window.
        variance_channels: channels that the network gives beside the image's: as many as those for DDPM's
            `learned_range`, else 0.
    """

    id: str
    window: tuple[int, int]
    grid: tuple[int, int]
    receptive_field: int
    depth: int
    width: int
    heads: int
    mlp_ratio: float
    channels: int
    coordinates: int
    takes_estimate: bool
    condition_width: int
    train_patches: float = 1.0
    loss_weight: float = 1.0
    offset: tuple[int, int] = (0, 0)
    variance_channels: int = 0

    @property
    def windows(self) -> int:
        """Windows of an image."""
        return prod(g // w for g, w in zip(self.grid, self.window, strict=True))

    @property
    def windows_down_and_across(self) -> tuple[int, int]:
        """Windows in a column and in a row of the grid."""
        return self.grid[0] // self.window[0], self.grid[1] // self.window[1]

    @property
    def tokens_down_and_across(self) -> tuple[int, int]:
        """Tokens in a column and in a row of one window."""
        return self.window[0] // self.receptive_field, self.window[1] // self.receptive_field

    @property
    def tokens(self) -> int:
        """Tokens of one window."""
        return prod(self.tokens_down_and_across)

    @property
    def windows_trained(self) -> int:
        """Windows of an image that a training step runs: the share rounded to a whole number, at least one."""
        return max(1, round(self.windows * self.train_patches))

    @property
    def layout(self) -> Layout:
        """How the brick cuts an image."""
        return Layout(self.window, self.receptive_field, self.offset)

    @property
    def covers_grid(self) -> bool:
        """Whether this is an image-brick: one window, the whole grid."""
        return self.window == self.grid

    @property
    def in_channels(self) -> int:
        """Channels that are cut into tokens: estimate from below, noisy image, coordinates."""
        return self.channels * (2 if self.takes_estimate else 1) + self.coordinates

    @property
    def in_features(self) -> int:
        """Numbers in one token before embedding, laid out (channel, row, column)."""
        return self.in_channels * self.receptive_field**2

    @property
    def out_channels(self) -> int:
        """Channels that are decoded from tokens: the image's, then those of a learned variance."""
        return self.channels + self.variance_channels

    @property
    def modulation_features(self) -> int:
        """Numbers of all its modulations of one image: six vectors a block, two of the last layer."""
        return (6 * self.depth + 2) * self.width

    @property
    def out_features(self) -> int:
        """Numbers in one token after decoding, laid out (row, column, channel)."""
        return self.out_channels * self.receptive_field**2

    @property
    def mlp_width(self) -> int:
        """Hidden features of the MLP."""
        return int(self.width * self.mlp_ratio)


@dataclass(frozen=True, slots=True)
class PretrainedShape:
    """A brick for which a model that is trained already stands (paper, section 3.3): the bottom one, or one above.

    Attributes:
        id: name of the brick; names its weights.
        kind: which adapter opens it.
        path: its folder, from the current directory.
        frozen: whether training leaves its weights alone: then checkpoints hold none of them.
        name: for `module`, its entry point; None for the others.
        loss_weight: weight of the brick's own loss; 0 for a frozen one.
        classes: the classes that it knows, which are the stack's; None for a model that reads no label.
        predicts: what its output is: `x0` (or `sample`) the clean image, else as diffusers calls it.
        sigmas: the noise level of each of its timesteps, ascending; empty for a model that takes x0 + sigma eps and
            sigma itself.
        weights: name and shape of each of its weights; empty until its files are opened.
        files: files within its folder and their SHA-256; empty until it is built.
        stack: for a model that is a stack itself (`stack`, `dit`), its architecture.
        place: how many bricks of the stack's own stand below it; 0 at the bottom.
        noise_scale: above others, the share of the noise level that it denoises from the estimate below
            (`contract/refine_ops.py`); None at the bottom.
    """

    id: str
    kind: PretrainedKind
    path: str
    frozen: bool
    name: str | None
    loss_weight: float
    classes: int | None
    predicts: Prediction
    sigmas: tuple[float, ...]
    weights: tuple[tuple[str, tuple[int, ...]], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    stack: StackShape | None = None
    place: int = 0
    noise_scale: float | None = None

    def is_of_files_of(self, other: PretrainedShape) -> bool:
        """Whether both are the same model by what a spec says of it."""
        return (self.kind, self.path, self.name) == (other.kind, other.path, other.name)

    @property
    def stored_weights(self) -> dict[str, tuple[int, ...]]:
        """Weight keys and shapes that a store and its checkpoints hold: those of a model that trains."""
        return {} if self.frozen else {f"pretrained.{self.id}.{name}": shape for name, shape in self.weights}


@dataclass(frozen=True, slots=True)
class StackShape:
    """A whole stack, bottom brick first.

    Attributes:
        channels: channels of the image.
        grid: height and width, in pixels (or latents).
        classes: number of classes, or None for an unconditional stack.
        label_form: `table` has one row a class and one for the null label (DiT); `linear` is a
            linear layer on the one-hot label whose bias stands for the null label (released LEGO).
        coordinates: order of the two coordinate channels, or none.
        condition_width: features of the conditioning vector.
        carry: what a brick hands on: `x0`, the estimate of the clean image (paper, Eq. 9), or `raw`,
            the network output before preconditioning (the released weights).
        diffusion: constants of the diffusion.
        bricks: the bricks, bottom to top.
        time_scale: what the noise conditioning (EDM's c_noise, DDPM's timestep) is multiplied by before the sinusoid
            of the time embedding; above 0.
        pretrained: the brick, below or between or above `bricks`, that is a model trained already; None without one.
    """

    channels: int
    grid: tuple[int, int]
    classes: int | None
    label_form: LabelForm
    coordinates: CoordinateOrder
    condition_width: int
    carry: Carry
    diffusion: Diffusion
    bricks: tuple[BrickShape, ...]
    time_scale: float = 1.0
    pretrained: PretrainedShape | None = None

    @property
    def variance_channels(self) -> int:
        """Channels of a learned variance: the image's for DDPM's `learned_range`, else none."""
        learned = isinstance(self.diffusion, DdpmConstants) and self.diffusion.variance == "learned_range"
        return self.channels if learned else 0

    @property
    def edm(self) -> EdmConstants:
        """The constants of EDM, for what works with EDM alone.

        Raises:
            UsageError: the stack's diffusion is another one.
        """
        if isinstance(self.diffusion, EdmConstants):
            return self.diffusion
        raise UsageError(
            f"this stack's diffusion is `{self.diffusion.kind}`, and what was asked for works with edm alone",
            help="take a stack of `diffusion: edm`",
        )

    def brick(self, id: str) -> BrickShape:
        """The brick of the stack's own that is named `id`. Raises KeyError when there is none."""
        for brick in self.bricks:
            if brick.id == id:
                return brick
        raise KeyError(id)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all bricks, bottom to top, a pretrained one too."""
        own = tuple(brick.id for brick in self.bricks)
        if (given := self.pretrained) is None:
            return own
        return (*own[: given.place], given.id, *own[given.place :])

    @property
    def fixed(self) -> tuple[str, ...]:
        """Ids of the bricks that no training changes: a pretrained one that is frozen."""
        return (self.pretrained.id,) if self.pretrained is not None and self.pretrained.frozen else ()

    @property
    def trainable(self) -> tuple[str, ...]:
        """Ids of the bricks that training changes, bottom to top."""
        return tuple(id for id in self.ids if id not in self.fixed)

    def own(self, ids: Iterable[str]) -> tuple[BrickShape, ...]:
        """The bricks of the stack's own among `ids`, in their order."""
        return tuple(self.brick(id) for id in ids if self.pretrained is None or id != self.pretrained.id)

    def runs_pretrained(self, ids: Iterable[str]) -> PretrainedShape | None:
        """The pretrained brick, if it is among `ids`."""
        return self.pretrained if self.pretrained is not None and self.pretrained.id in ids else None

    def loss_weight(self, id: str) -> float:
        """Weight of a brick's own loss. Raises KeyError when there is no such brick."""
        given = self.runs_pretrained((id,))
        return self.brick(id).loss_weight if given is None else given.loss_weight


def conditioning_weights(stack: StackShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Weight keys and shapes of the embedders shared by all bricks."""
    width = stack.condition_width
    yield "conditioning.time.fc1.weight", (width, 2 * TIME_FREQUENCIES)
    yield "conditioning.time.fc1.bias", (width,)
    yield "conditioning.time.fc2.weight", (width, width)
    yield "conditioning.time.fc2.bias", (width,)
    if stack.classes is not None:
        match stack.label_form:
            case "table":
                yield "conditioning.label.weight", (stack.classes + 1, width)
            case "linear":
                yield "conditioning.label.weight", (stack.classes, width)
                yield "conditioning.label.bias", (width,)


def brick_weights(brick: BrickShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Weight keys and shapes of one brick. Linear weights are [out, in]."""

    def linear(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"bricks.{brick.id}.{name}.weight", (rows, columns)
        yield f"bricks.{brick.id}.{name}.bias", (rows,)

    width, condition = brick.width, brick.condition_width
    yield from linear("embed", width, brick.in_features)
    for i in range(brick.depth):
        yield from linear(f"blocks.{i}.adaln", 6 * width, condition)
        yield from linear(f"blocks.{i}.attn.qkv", 3 * width, width)
        yield from linear(f"blocks.{i}.attn.proj", width, width)
        yield from linear(f"blocks.{i}.mlp.fc1", brick.mlp_width, width)
        yield from linear(f"blocks.{i}.mlp.fc2", width, brick.mlp_width)
    yield from linear("final.adaln", 2 * width, condition)
    yield from linear("final.linear", brick.out_features, width)


def weight_shapes(stack: StackShape) -> dict[str, tuple[int, ...]]:
    """Every weight of the stack, in store order. Position and coordinate tables are constants, not weights."""
    shapes = dict(conditioning_weights(stack))
    for brick in stack.bricks:
        shapes.update(brick_weights(brick))
    if stack.pretrained is not None:
        shapes.update(stack.pretrained.stored_weights)
    return shapes
