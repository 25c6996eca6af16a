"""The weight store: the only owner of parameters. Modules are lent, never copied.

takes: StackShape, tensors
gives: WeightStore
may import: torch, `legoc_runtime.layers`, `legoc_runtime.contract`
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from legoc_runtime.contract.stack import BrickShape, DdpmConstants, StackShape, weight_shapes
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.layers.adjacent import lay_out
from legoc_runtime.layers.leaves import Attend, Chain, Conditioning, Coordinates, Decode, Embed, Mlp, Modulate
from legoc_runtime.layers.pretrained import PretrainedBrick, PretrainedWeights

T = TypeVar("T")


class Holder(nn.Module):
    """Holds leaves. Called, it runs something over them: hooks on a holder act where its weights are needed."""

    def forward(self, run: Callable[..., T], *arguments: Any) -> T:
        """What `run` gives."""
        return run(*arguments)


class Block(Holder):
    """Holds the leaves of one block."""

    def __init__(self, brick: BrickShape) -> None:
        super().__init__()
        self.adaln = Modulate(brick.condition_width, 6 * brick.width, device="meta")  # the store lays it out
        self.attn = Attend(brick)
        self.mlp = Mlp(brick)


class Final(nn.Module):
    """Holds the leaves of a brick's last layer; is never called itself."""

    def __init__(self, brick: BrickShape) -> None:
        super().__init__()
        self.adaln = Modulate(brick.condition_width, 2 * brick.width, device="meta")  # the store lays it out
        self.linear = Decode(brick.width, brick.out_features)


class BrickWeights(nn.Module):
    """Holds the leaves of one brick; is never called itself."""

    def __init__(self, brick: BrickShape) -> None:
        super().__init__()
        self.embed = Embed(brick)
        self.blocks = nn.ModuleList([Block(brick) for _ in range(brick.depth)])
        self.final = Final(brick)


BRICK_PREFIX = "brick_"
"""Module attribute of a brick is this and its id, since an id may be a name that nn.Module uses (`half`, `train`)."""


def key_of(path: str) -> str:
    """Weight key of a parameter's path in the store: `brick_top.embed.bias` is `bricks.top.embed.bias`."""
    return "bricks." + path.removeprefix(BRICK_PREFIX) if path.startswith(BRICK_PREFIX) else path


class WeightStore(Holder):
    """One parameter a weight key, and the leaf modules that hold them.

    Args:
        shape: the architecture.
        device: where weights live; `meta` allocates nothing.
        dtype: type of the weights.
        bricks: the bricks to hold; None holds all. The others have no module and no weight here.
        pretrained: the model of a pretrained brick (`legoc_runtime.pretrained` opens it); without it such a brick
            has its weights, and cannot run.

    Attributes:
        shape: the architecture.
        bricks: the bricks that are held, bottom to top.
        weights: weight key -> parameter, in store order. Those of a frozen pretrained brick are its files', not here.
    """

    def __init__(
        self,
        shape: StackShape,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        bricks: Collection[str] | None = None,
        pretrained: PretrainedBrick | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.bricks = shape.ids if bricks is None else _known(shape, bricks)
        self._generation = 0
        self._derived: dict[str, tuple[int, object]] = {}
        with torch.device(device), _default_dtype(dtype):
            self.conditioning = Conditioning(shape)
            for brick in shape.own(self.bricks):
                self.add_module(BRICK_PREFIX + brick.id, BrickWeights(brick))
            self.coordinates = Coordinates(shape)
            if isinstance(shape.diffusion, DdpmConstants):
                self.chain = Chain(shape.diffusion)
        own = shape.own(self.bricks)
        if own:
            lay_out([layer for brick in own for layer in self.adaln_layers(brick.id)], device=device, dtype=dtype)
        found = {key_of(path): parameter for path, parameter in self.named_parameters()}
        self._pretrained: PretrainedBrick | PretrainedWeights | None = None
        if (given := shape.runs_pretrained(self.bricks)) is not None:
            self._pretrained = pretrained or PretrainedWeights(given, device=device, dtype=dtype)
            self.add_module(BRICK_PREFIX + given.id, self._pretrained)
            found.update(self._pretrained.weights)
        self.weights: dict[str, nn.Parameter] = {}
        absent = tuple(
            f"{kind}.{id}." for id in shape.ids if id not in self.bricks for kind in ("bricks", "pretrained")
        )
        for key, expected in weight_shapes(shape).items():
            if key.startswith(absent):
                continue
            assert tuple(found[key].shape) == expected, f"{key} is {tuple(found[key].shape)}, not {expected}"
            self.weights[key] = found[key]
        assert self.weights.keys() == found.keys(), "the store holds a weight that the contract does not name"

    def rebind(self) -> None:
        """Look the weights up again where something put others into the modules, such as shards of them."""
        with self.updating():
            found = {key_of(path): parameter for path, parameter in self.named_parameters()}
            self.weights = {key: found[key] for key in self.weights}

    def block(self, id: str, number: int) -> Block:
        """A block of a brick, from the bottom."""
        return cast("Block", cast("BrickWeights", self.get_submodule(BRICK_PREFIX + id)).blocks[number])

    def embed(self, id: str) -> Embed:
        """The embedding of a brick."""
        return cast("BrickWeights", self.get_submodule(BRICK_PREFIX + id)).embed

    def decode(self, id: str) -> Decode:
        """The last layer of a brick."""
        return cast("BrickWeights", self.get_submodule(BRICK_PREFIX + id)).final.linear

    def adaln_layers(self, id: str) -> tuple[Modulate, ...]:
        """The modulation layers of a brick: of its blocks, then of its last layer.

        Weights of all bricks lie side by side in this order, bottom brick first, so that those of neighbours together
        are a view of the store (`layers/adjacent.py`).
        """
        brick = cast("BrickWeights", self.get_submodule(BRICK_PREFIX + id))
        return (*(cast("Block", block).adaln for block in brick.blocks), brick.final.adaln)

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return next(iter(self.weights.values())).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return next(iter(self.weights.values())).dtype

    @property
    def state_dtype(self) -> torch.dtype:
        """Type of noisy images, noise levels and estimates: float32, and float64 where the weights are."""
        return torch.promote_types(self.dtype, torch.float32)

    @property
    def generation(self) -> int:
        """Moves on with every update of the weights; what is derived from weights is remade when it moved."""
        return self._generation

    @contextmanager
    def updating(self) -> Generator[None]:
        """Every change of the weights happens inside this: optimizer steps, loads, swaps.

        PyTorch's `_version` does not move under fused optimizers or `.data`, so the store counts for itself.
        """
        try:
            yield
        finally:
            self._generation += 1
            if self._pretrained is not None:
                self._pretrained.changed()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        with self.updating():  # `to` and its like: views and copies of the weights were of the old memory
            return super()._apply(fn, recurse)  # pyright: ignore[reportUnknownMemberType]

    def derived(self, name: str, make: Callable[[], T]) -> T:
        """A value made from weights, kept until they change."""
        held = self._derived.get(name)
        if held is None or held[0] != self._generation:
            # not as inference tensors, which no backward pass could save
            with torch.inference_mode(False), torch.no_grad():
                held = (self._generation, make())
            self._derived[name] = held
        return cast("T", held[1])

    def initialise(self, seed: int) -> None:
        """Draw fresh weights as DiT does.

        Linear layers are Xavier-uniform, embedders N(0, 0.02); biases, modulation and output layers are zero. Each
        weight depends on (seed, its key) alone, so that a new brick leaves the others as they were. Those of a
        pretrained brick are what its files say.
        """
        with self.updating(), torch.no_grad():
            for key, weight in self.weights.items():
                if not key.startswith("pretrained."):
                    _initialise(key, weight, _generator(seed, key))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy weights in, all or nothing. Those of bricks that are not held may be there, and are left out.

        Raises:
            RunError: a key is missing or unknown, or a shape differs; nothing is changed then.
        """
        missing = [key for key in self.weights if key not in tensors]
        unknown = [key for key in tensors if key not in weight_shapes(self.shape)]
        if missing or unknown:
            raise RunError(
                "the weights are of another stack: "
                + "; ".join(
                    _some(names, word) for names, word in ((missing, "missing"), (unknown, "unknown")) if names
                ),
                help="take the checkpoint of this spec, or sample from the run itself",
            )
        wrong = [
            f"{key} is {tuple(tensors[key].shape)}, not {tuple(weight.shape)}"
            for key, weight in self.weights.items()
            if tensors[key].shape != weight.shape
        ]
        if wrong:
            raise RunError(
                f"the weights are of another stack: {_some(wrong, '')}".rstrip(),
                help="take the checkpoint of this spec",
            )
        with self.updating(), torch.no_grad():
            for key, weight in self.weights.items():
                weight.copy_(tensors[key])


def _known(shape: StackShape, bricks: Collection[str]) -> tuple[str, ...]:
    """Brick ids, bottom to top."""
    if unknown := sorted({*bricks} - {*shape.ids}):
        raise UsageError(f"the stack has no brick `{unknown[0]}`", help=f"the bricks are {', '.join(shape.ids)}")
    if not bricks:
        raise UsageError("a store without bricks can run nothing", help="name one at least")
    return tuple(id for id in shape.ids if id in bricks)


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Generator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _generator(seed: int, key: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def _initialise(key: str, weight: nn.Parameter, generator: torch.Generator) -> None:
    if key.endswith(".bias") or ".adaln." in key or ".final.linear." in key:
        weight.zero_()
        return
    # drawn on the CPU in float32, so that a seed means the same weights on every device
    drawn = torch.empty(weight.shape, dtype=torch.float32, device="cpu")
    if key.startswith("conditioning."):
        drawn.normal_(0.0, 0.02, generator=generator)
    else:
        bound = math.sqrt(6.0 / (weight.shape[0] + weight.shape[1]))
        drawn.uniform_(-bound, bound, generator=generator)
    weight.copy_(drawn)


def _some(names: list[str], word: str) -> str:
    shown = ", ".join(names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{word} {shown}{more}".strip()
