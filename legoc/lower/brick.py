"""One brick as operations: cut, embed, blocks, decode, put together again."""

from __future__ import annotations

from legoc.lower.emitter import Emitter
from legoc_runtime.contract.program import (
    Attend,
    Decode,
    Embed,
    Image,
    Merge,
    Mlp,
    Modulate,
    Partition,
    PutWindows,
    TakeWindows,
    Tokens,
    Value,
    Vector,
    WindowIndex,
)
from legoc_runtime.contract.stack import BrickShape, CoordinateOrder


def window_index(out: Emitter, brick: BrickShape) -> Value | None:
    """The argument that says which windows a training step runs, or None when it runs them all."""
    if brick.windows_trained == brick.windows:
        return None
    return out.input(f"{brick.id}.windows", WindowIndex(brick.windows_trained, brick.windows))


def lower_brick(
    out: Emitter,
    brick: BrickShape,
    images: tuple[Value, ...],
    condition: Value,
    coordinates: CoordinateOrder,
    index: Value | None,
) -> Value:
    """Emit the network of one brick.

    Args:
        out: the program in the making.
        brick: the brick.
        images: what it reads, in channel order: estimate from below if it has a slot for one, noisy image.
        condition: the conditioning vector.
        coordinates: order of the coordinate channels.
        index: the windows to run, or None for all.

    Returns:
        The raw network output F, an image; zero in windows that were not run.
    """
    id, windows, length = brick.id, brick.windows, brick.tokens
    tokens = out.emit(
        Partition(
            brick=id,
            images=images,
            coordinates=coordinates,
            window=brick.window,
            offset=brick.offset,
            receptive_field=brick.receptive_field,
            out=f"{id}.pixels",
        ),
        Tokens(windows, length, brick.in_features),
    )
    run = windows
    if index is not None:
        run = brick.windows_trained
        tokens = out.emit(
            TakeWindows(brick=id, tokens=tokens, index=index, out=f"{id}.taken"),
            Tokens(run, length, brick.in_features),
        )
    tokens = out.emit(Embed(brick=id, tokens=tokens, out=f"{id}.tokens"), Tokens(run, length, brick.width))
    tokens = _lower_blocks(out, brick, tokens, condition)
    modulation = out.emit(
        Modulate(brick=id, block=None, condition=condition, out=f"{id}.final.modulation"),
        Vector(2 * brick.width),
    )
    decoded = out.emit(
        Decode(brick=id, tokens=tokens, modulation=modulation, out=f"{id}.decoded"),
        Tokens(run, length, brick.out_features),
    )
    if index is not None:
        decoded = out.emit(
            PutWindows(brick=id, tokens=decoded, index=index, windows=windows, out=f"{id}.put"),
            Tokens(windows, length, brick.out_features),
        )
    return out.emit(
        Merge(
            brick=id,
            tokens=decoded,
            grid=brick.grid,
            window=brick.window,
            offset=brick.offset,
            receptive_field=brick.receptive_field,
            out=f"{id}.network",
        ),
        Image(brick.channels, *brick.grid),
    )


def _lower_blocks(out: Emitter, brick: BrickShape, tokens: Value, condition: Value) -> Value:
    type = out.type(tokens)
    for i in range(brick.depth):
        name = f"{brick.id}.{i}"
        modulation = out.emit(
            Modulate(brick=brick.id, block=i, condition=condition, out=f"{name}.modulation"),
            Vector(6 * brick.width),
        )
        tokens = out.emit(
            Attend(
                brick=brick.id,
                block=i,
                heads=brick.heads,
                tokens=tokens,
                modulation=modulation,
                out=f"{name}.attended",
            ),
            type,
        )
        tokens = out.emit(
            Mlp(brick=brick.id, block=i, tokens=tokens, modulation=modulation, out=f"{name}.tokens"), type
        )
    return tokens
