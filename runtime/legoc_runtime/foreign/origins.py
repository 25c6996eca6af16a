"""What weights of a stack are called in other code, and what must be done to them: released LEGO, DiT, diffusers' DiT.

Names and layouts are those of `tests/reference/README.md`; diffusers' are those of its `DiTTransformer2DModel`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal, Protocol, assert_never

from legoc_runtime.contract.stack import BrickShape, StackShape, weight_shapes
from legoc_runtime.errors import RunError
from legoc_runtime.foreign.names import TITLES, Kind

if TYPE_CHECKING:
    from torch import Tensor

How = Literal["same", "flat", "transposed", "joined", "copies"]

SHOWN = 4


class Stored(Protocol):
    """A tensor in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...

    def read(self) -> Tensor:
        """Its numbers, on the CPU. Raises RunError where the file does not hold them."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a weight comes from.

    Attributes:
        names: the tensors that it is made of.
        how: `same` as it is; `flat`: [out, channels, rows, columns] as [out, in]; `transposed`; `joined`: one after
            the other along the first axis; `copies`: all the same tensor, of which one is taken.
    """

    names: tuple[str, ...]
    how: How = "same"


_LEGO_NAMES = {
    "embed": "x_embedder.proj",
    "attn.qkv": "attn.qkv",
    "attn.proj": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "adaln": "adaLN_modulation.1",
    "final.linear": "final_layer.linear",
    "final.adaln": "final_layer.adaLN_modulation.1",
}
"""DiT's names, which the released LEGO code has too, by ours."""

_DIFFUSERS_NAMES = {
    "embed": ("pos_embed.proj",),
    "attn.qkv": ("attn1.to_q", "attn1.to_k", "attn1.to_v"),
    "attn.proj": ("attn1.to_out.0",),
    "mlp.fc1": ("ff.net.0.proj",),
    "mlp.fc2": ("ff.net.2",),
    "adaln": ("norm1.linear",),
    "final.linear": ("proj_out_2",),
    "final.adaln": ("proj_out_1",),
}
_EMBEDDER = "norm1.emb"
"""Where each block of diffusers' DiT embeds time and label for itself."""


def origins(shape: StackShape, kind: Kind) -> dict[str, Origin]:
    """Weight key -> where it comes from, for every weight of a stack."""
    return {key: _origin(shape, kind, key) for key in weight_shapes(shape)}


def position_names(shape: StackShape, kind: Kind) -> dict[str, str]:
    """Brick id -> its table of positions [1, tokens, width] in the other code; a constant here."""
    match kind:
        case "lego":
            return {brick.id: f"model.{i}.pos_embed" for i, brick in enumerate(shape.bricks)}
        case "dit":
            return {shape.bricks[0].id: "pos_embed"}
        case "diffusers_dit":  # older versions of it kept the table
            return {shape.bricks[0].id: "pos_embed.pos_embed"}
        case "legoc":
            return {}
        case _:
            assert_never(kind)


def _origin(shape: StackShape, kind: Kind, key: str) -> Origin:
    name, _, end = key.rpartition(".")
    if kind == "legoc":
        return Origin((key,))
    if name.startswith("conditioning."):
        return _conditioning(shape, kind, name.removeprefix("conditioning."), end)
    _, id, *rest = name.split(".")
    index = shape.ids.index(id)
    block = f"blocks.{rest[1]}." if rest[0] == "blocks" else ""
    part = ".".join(rest[2:] if block else rest)
    how: How = "flat" if part == "embed" and end == "weight" else "same"
    if kind == "diffusers_dit":
        names = tuple(f"{'transformer_' if block else ''}{block}{name}.{end}" for name in _DIFFUSERS_NAMES[part])
        return Origin(names, "joined" if len(names) > 1 else how)
    brick = f"model.{index}." if kind == "lego" else ""
    return Origin((f"{brick}{block}{_LEGO_NAMES[part]}.{end}",), how)


def _conditioning(shape: StackShape, kind: Kind, name: str, end: str) -> Origin:
    if kind == "diffusers_dit":
        part = {
            "time.fc1": "timestep_embedder.linear_1",
            "time.fc2": "timestep_embedder.linear_2",
            "label": "class_embedder.embedding_table",
        }[name]
        blocks = range(shape.bricks[0].depth)
        return Origin(tuple(f"transformer_blocks.{i}.{_EMBEDDER}.{part}.{end}" for i in blocks), "copies")
    part = {"time.fc1": "t_embedder.mlp.0", "time.fc2": "t_embedder.mlp.2", "label": "y_embedder.embedding_table"}[name]
    is_linear = name == "label" and end == "weight" and shape.label_form == "linear"
    return Origin((f"{part}.{end}",), "transposed" if is_linear else "same")


def check_fits(shape: StackShape, kind: Kind, stored: Mapping[str, Stored]) -> None:
    """Whether tensors are those of a stack, by names and shapes alone.

    Raises:
        RunError: names what is missing, what is of another shape, and what has no place.
    """
    expected = weight_shapes(shape)
    missing: list[str] = []
    wrong: list[str] = []
    used = set(position_names(shape, kind).values())
    for key, origin in origins(shape, kind).items():
        used.update(origin.names)
        missing += [name for name in origin.names if name not in stored]
        if not any(name not in stored for name in origin.names):
            wrong += _misfits(origin, [stored[name].shape for name in origin.names], expected[key])
    over = [name for name in stored if name not in used]
    faults = [
        *(f"{_some(missing)} missing" for _ in missing[:1]),
        *(f"{_some(wrong)}" for _ in wrong[:1]),
        *(f"{_some(over)} have no place in it" for _ in over[:1]),
    ]
    if faults:
        raise RunError(
            f"the tensors are not those of this spec by the names of {TITLES[kind]}: {'; '.join(faults)}",
            help="leave out --spec, and the spec is read off the tensors; `legoc cost` shows what a spec says",
        )


def _misfits(origin: Origin, shapes: list[tuple[int, ...]], expected: tuple[int, ...]) -> Iterator[str]:
    match origin.how:
        case "same" | "copies":
            fits = all(shape == expected for shape in shapes)
        case "transposed":
            fits = shapes[0] == expected[::-1]
        case "flat":
            fits = len(shapes[0]) == 4 and (shapes[0][0], prod(shapes[0][1:])) == expected
        case "joined":
            rest = {shape[1:] for shape in shapes}
            fits = len(rest) == 1 and (sum(shape[0] for shape in shapes), *rest.pop()) == expected
        case _:
            assert_never(origin.how)
    if not fits:
        wanted = expected[::-1] if origin.how == "transposed" else expected
        given = " + ".join("x".join(map(str, shape)) for shape in dict.fromkeys(shapes))
        yield f"{origin.names[0]} is {given} where the spec has {'x'.join(map(str, wanted))}"


def read_weights(shape: StackShape, kind: Kind, stored: Mapping[str, Stored]) -> dict[str, Tensor]:
    """The weights of a stack, float32, by our keys. `check_fits` has passed them.

    Raises:
        RunError: numbers are missing or not finite; copies of one weight differ; a table of positions is not ours.
    """
    import torch

    for id, name in position_names(shape, kind).items():
        if name in stored:
            _check_positions(shape.brick(id), name, stored[name])
    weights: dict[str, Tensor] = {}
    for key, origin in origins(shape, kind).items():
        parts = [stored[name].read() for name in origin.names]
        if origin.how == "copies" and not all(torch.equal(parts[0], part) for part in parts[1:]):
            raise RunError(
                f"{origin.names[0]} differs from block to block: a stack embeds time and label once",
                help="such a model, trained in diffusers, cannot be a stack",
            )
        made = torch.cat(parts) if origin.how == "joined" else parts[0]
        made = made.T if origin.how == "transposed" else made.flatten(1) if origin.how == "flat" else made
        weights[key] = made.to(torch.float32).contiguous()
        if not bool(weights[key].isfinite().all()):
            raise RunError(f"{origin.names[0]} holds numbers that are not finite", help="take another file")
    return weights


def _check_positions(brick: BrickShape, name: str, stored: Stored) -> None:
    from legoc_runtime.layers.tables import position_table

    ours = position_table(*brick.tokens_down_and_across, brick.width)
    theirs = stored.read().double()
    if tuple(theirs.shape) != (1, *ours.shape) or (theirs[0] - ours.double()).abs().max() > 1e-4:
        raise RunError(
            f"{name} is not the table of positions of a brick with {brick.tokens} tokens of width {brick.width}",
            help="its positions were learned, or are of other windows: no spec has such",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
