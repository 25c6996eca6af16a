"""A first spec for weights of other code, read off names and shapes; what shapes do not tell is said with `--heads`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from legoc.interop.foreign import Foreign
from legoc.spec.dit import HEADS
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.foreign.origins import Stored

_BLOCK = re.compile(r"(?:transformer_)?blocks\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class _Brick:
    """A brick by its tensors."""

    side: int
    token: int
    depth: int
    width: int
    mlp_ratio: float
    in_channels: int
    out_features: int


def spec_text(foreign: Foreign, heads: int | None = None) -> str:
    """A spec that the tensors fit.

    Args:
        foreign: the weights; not legoc's own, which bring their spec.
        heads: attention heads; None takes the configuration's, or those of the published model of this width.

    Raises:
        UsageError: the heads are not told.
        RunError: the tensors make no model.
    """
    try:
        match foreign.kind:
            case "lego":
                return _lego(foreign, heads)
            case "dit":
                brick = _brick(foreign.tensors, "")
                return _dit(foreign, brick, _rows(foreign, "y_embedder.embedding_table.weight", 0), heads)
            case "diffusers_dit":
                return _diffusers(foreign, heads)
            case "legoc":
                raise AssertionError("legoc's own weights bring their spec")
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise RunError(
            f"{foreign.path}: the names and shapes of its tensors make no model ({error})",
            help="give the spec with --spec, and what does not fit is named",
        ) from error


def _lego(foreign: Foreign, heads: int | None) -> str:
    """The released LEGO code: raw outputs are handed on, rows come before columns, labels are a linear layer."""
    indices = sorted({int(found[1]) for name in foreign.tensors if (found := re.match(r"model\.(\d+)\.", name))})
    bricks = [_brick(foreign.tensors, f"model.{i}.") for i in indices]
    grid = max(brick.side for brick in bricks)
    channels = bricks[0].out_features // bricks[0].token ** 2
    label = "y_embedder.embedding_table.weight"
    classes = foreign.tensors[label].shape[1] if label in foreign.tensors else None
    lines = [
        *_head(foreign, grid, channels, classes),
        "diffusion: edm",
        "carry: raw",
        "compat: {coordinates: row_column, label_embedding: linear}",
        "bricks:",
        *(_line(f"brick{i}", brick, grid, heads) for i, brick in zip(indices, bricks, strict=True)),
        "sample: {sampler: heun, steps: 256}",
    ]
    return "\n".join(lines) + "\n"


def _dit(foreign: Foreign, brick: _Brick, rows: int, heads: int | None) -> str:
    """DiT: one image-brick without coordinates, noise predicted, and a variance where it has twice the channels."""
    outputs = brick.out_features // brick.token**2
    if outputs not in (brick.in_channels, 2 * brick.in_channels):
        raise ValueError(f"{brick.in_channels} channels in, {outputs} out")
    variance = "learned_range" if outputs == 2 * brick.in_channels else "fixed_large"
    lines = [
        *_head(foreign, brick.side, brick.in_channels, rows - 1),
        f"diffusion: {{kind: ddpm, variance: {variance}}}",
        "compat: {coordinates: none, label_embedding: table}",
        "bricks:",
        _line("dit", brick, brick.side, heads),
        "sample: {sampler: ddpm, steps: 250}",
    ]
    return "\n".join(lines) + "\n"


def _diffusers(foreign: Foreign, heads: int | None) -> str:
    config, tensors = foreign.config, foreign.tensors
    width, channels, token, _ = tensors["pos_embed.proj.weight"].shape
    side = _whole(config, "sample_size")
    brick = _Brick(
        side=side,
        token=token,
        depth=_depth(tensors, ""),
        width=width,
        mlp_ratio=tensors["transformer_blocks.0.ff.net.0.proj.weight"].shape[0] / width,
        in_channels=channels,
        out_features=tensors["proj_out_2.weight"].shape[0],
    )
    rows = _rows(foreign, "transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight", 0)
    told = _whole(config, "num_attention_heads")
    if heads is not None and heads != told:
        raise UsageError(f"--heads {heads}: {foreign.path} says {told}", help="leave it out")
    return _dit(foreign, brick, rows, told)


def _head(foreign: Foreign, grid: int, channels: int, classes: int | None) -> list[str]:
    name = re.sub(r"[^a-z0-9]+", "_", foreign.path.stem.lower()).strip("_")
    name = name if re.match(r"[a-z]", name) else f"imported_{name}".rstrip("_")
    return [
        "legoc: 1",
        f"name: {name[:60]}",
        f"description: imported from {foreign.container}",
        f"grid: {{height: {grid}, width: {grid}, channels: {channels}}}",
        f"conditioning: {{classes: {'null' if classes is None else classes}}}",
    ]


def _line(id: str, brick: _Brick, grid: int, heads: int | None) -> str:
    size = "image" if brick.side == grid else brick.side
    count = heads if heads is not None else HEADS.get(brick.width)
    if count is None:
        raise UsageError(
            f"no published model has the width {brick.width}, and shapes do not tell how many heads attend",
            help="say it with --heads N",
        )
    return (
        f"  - {{id: {id}, size: {size}, receptive_field: {brick.token}, depth: {brick.depth}, width: {brick.width}, "
        f"heads: {count}, mlp_ratio: {brick.mlp_ratio:g}}}"
    )


def _brick(tensors: Mapping[str, Stored], prefix: str) -> _Brick:
    width, channels, token, _ = tensors[f"{prefix}x_embedder.proj.weight"].shape
    tokens = tensors[f"{prefix}pos_embed"].shape[1]
    if math.isqrt(tokens) ** 2 != tokens:
        raise ValueError(f"{tokens} positions are no square")
    return _Brick(
        side=math.isqrt(tokens) * token,
        token=token,
        depth=_depth(tensors, prefix),
        width=width,
        mlp_ratio=tensors[f"{prefix}blocks.0.mlp.fc1.weight"].shape[0] / width,
        in_channels=channels,
        out_features=tensors[f"{prefix}final_layer.linear.weight"].shape[0],
    )


def _depth(tensors: Mapping[str, Stored], prefix: str) -> int:
    found = (_BLOCK.match(name.removeprefix(prefix)) for name in tensors if name.startswith(prefix))
    return 1 + max(int(block[1]) for block in found if block)


def _rows(foreign: Foreign, name: str, axis: int) -> int:
    return foreign.tensors[name].shape[axis]


def _whole(config: Mapping[str, Any], key: str) -> int:
    value: object = config.get(key)
    if type(value) is not int or value < 1:
        raise ValueError(f"config.json: `{key}` is no whole number")
    return value
