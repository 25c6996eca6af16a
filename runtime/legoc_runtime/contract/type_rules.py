"""Which types the operands and results of an operation must have: the arithmetic of windows, tokens and channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from legoc_runtime.contract.chain_ops import DdpmScales, JoinChannels, TakeChannels
from legoc_runtime.contract.pass_ops import (
    Cast,
    EmbedChannels,
    EmbedFolded,
    JoinEstimate,
    ModulateTogether,
    SplitModulations,
    pixel_tokens,
)
from legoc_runtime.contract.program import (
    Embed,
    Image,
    Merge,
    Op,
    OtherWindows,
    Pretrained,
    Scalar,
    Tokens,
    ValueType,
    Vector,
    WindowIndex,
)
from legoc_runtime.contract.refine_ops import LessNoise, LowerLevel
from legoc_runtime.contract.stack import DdpmConstants, StackShape


def expected_types(op: Op, types: Mapping[str, ValueType], shape: StackShape) -> Iterator[tuple[str, ValueType | None]]:
    """Values with the types that they must have; None is a type that no value has."""
    match op:
        case DdpmScales(sigma=sigma):
            yield sigma, Scalar() if isinstance(shape.diffusion, DdpmConstants) else None
        case Pretrained(brick=id, image=image, sigma=sigma, out=out):
            pixels = Image(shape.channels, *shape.grid) if shape.runs_pretrained((id,)) else None
            yield image, pixels
            yield sigma, Scalar()
            yield out, pixels
        case LowerLevel(sigma=sigma, out=out):
            yield from ((value, Scalar()) for value in (sigma, out))
        case LessNoise(estimate=estimate, image=image, sigma=sigma, level=level, out=out):
            yield from ((value, Image(shape.channels, *shape.grid)) for value in (estimate, image, out))
            yield from ((value, Scalar()) for value in (sigma, level))
        case Merge(brick=brick, out=out):
            yield out, Image(shape.brick(brick).out_channels, *shape.grid)
        case TakeChannels(image=image, first=first, count=count, out=out):
            type = types[image]
            within = isinstance(type, Image) and 0 <= first < first + count <= type.channels
            yield image, type if within else None
            yield out, Image(count, *shape.grid)
        case JoinChannels(images=images, out=out):
            parts = [type.channels for type in (types[image] for image in images) if isinstance(type, Image)]
            yield out, Image(sum(parts), *shape.grid) if len(parts) == len(images) > 0 else None
        case JoinEstimate(brick=id, tokens=tokens, image=image, coordinates=coordinates, source=source, out=out):
            yield tokens, pixel_tokens(shape.channels, shape.grid, source)
            yield image, Image(shape.channels, *shape.grid)
            channels = 2 * shape.channels + (shape.brick(id).coordinates if coordinates != "none" else 0)
            yield out, pixel_tokens(channels, shape.grid, op.target)
        case Embed(brick=brick, tokens=tokens, out=out):
            yield from _embedding(brick, shape.brick(brick).in_channels, tokens, out, types, shape)
        case EmbedChannels(brick=brick, first=first, count=count, tokens=tokens, out=out):
            within = first >= 0 and count > 0 and first + count <= shape.brick(brick).in_channels
            yield from _embedding(brick, count if within else 0, tokens, out, types, shape)
        case EmbedFolded(brick=brick, first=first, count=count, tokens=tokens, out=out):
            images = shape.brick(brick).in_channels - shape.brick(brick).coordinates
            yield from _embedding(
                brick, count if 0 <= first < first + count == images else 0, tokens, out, types, shape
            )
        case ModulateTogether(bricks=bricks, out=out):
            yield out, Vector(sum(shape.brick(id).modulation_features for id in bricks))
        case SplitModulations(brick=id, joined=joined, start=start, outs=outs):
            brick, type = shape.brick(id), types[joined]
            features = type.features if isinstance(type, Vector) else 0
            fits = 0 <= start <= features - brick.modulation_features and len(outs) == brick.depth + 1
            yield joined, Vector(features) if fits else None
            for i, value in enumerate(outs):
                yield value, Vector((6 if i < brick.depth else 2) * brick.width)
        case OtherWindows(brick=id, index=index, windows=windows, out=out):
            type, brick = types[index], shape.brick(id)
            taken = type.taken if isinstance(type, WindowIndex) else 0
            fits = windows == brick.windows and 0 < taken < windows
            yield index, WindowIndex(taken, windows) if fits else None
            yield out, WindowIndex(windows - taken, windows)
        case Cast(value=value, out=out):
            yield out, types[value]
        case _:
            pass


def _embedding(
    brick: str, channels: int, tokens: str, out: str, types: Mapping[str, ValueType], shape: StackShape
) -> Iterator[tuple[str, ValueType | None]]:
    type, pixels = types[tokens], shape.brick(brick).receptive_field ** 2
    if not isinstance(type, Tokens) or not channels:
        yield tokens, None
        return
    yield tokens, Tokens(type.windows, type.tokens, channels * pixels)
    yield out, Tokens(type.windows, type.tokens, shape.brick(brick).width)
