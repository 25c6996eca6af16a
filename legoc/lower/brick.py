"""One brick as operations: cut, embed, blocks, decode, put together again."""

from __future__ import annotations

from legoc.lower.emitter import Emitter
from legoc_runtime.contract.program import (
    Attend,
    Decode,
    Detach,
    Embed,
    Image,
    Merge,
    Mlp,
    Modulate,
    OtherWindows,
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
        The raw network output F, an image, with the channels of a learned variance last; zero in windows that were not
        run.
    """
    tokens = out.emit(
        Partition(
            brick=brick.id,
            images=images,
            coordinates=coordinates,
            window=brick.window,
            offset=brick.offset,
            receptive_field=brick.receptive_field,
            out=f"{brick.id}.pixels",
        ),
        Tokens(brick.windows, brick.tokens, brick.in_features),
    )
    return _network(out, brick, tokens, condition, index, brick.id)


def lower_rest(out: Emitter, brick: BrickShape, condition: Value, index: Value) -> Value:
    """Emit the network of a brick once more, without gradient, for the windows that it does not train on.

    It reads what the brick read. The brick itself comes first (`lower_brick`): under autocast the weights that it
    casts are kept for both, with their gradient.

    Args:
        out: the program in the making.
        brick: the brick.
        condition: the conditioning vector.
        index: the windows that it trains on.

    Returns:
        The raw network output F, an image that no gradient flows through; zero in the windows of `index`.
    """
    name = f"{brick.id}.rest"
    rest = out.emit(
        OtherWindows(brick=brick.id, index=index, windows=brick.windows, out=f"{name}.windows"),
        WindowIndex(brick.windows - brick.windows_trained, brick.windows),
    )
    network = _network(out, brick, f"{brick.id}.pixels", condition, rest, name)
    return out.emit(Detach(image=network, out=f"{name}.detached"), out.type(network))


def _network(out: Emitter, brick: BrickShape, tokens: Value, condition: Value, index: Value | None, name: str) -> Value:
    """From all windows as pixels to the network output of those that `index` names; values are called `name`."""
    id, length, run = brick.id, brick.tokens, brick.windows
    if index is not None:
        type = out.type(index)
        assert isinstance(type, WindowIndex)
        run = type.taken
        tokens = out.emit(
            TakeWindows(brick=id, tokens=tokens, index=index, out=f"{name}.taken"),
            Tokens(run, length, brick.in_features),
        )
    tokens = out.emit(Embed(brick=id, tokens=tokens, out=f"{name}.tokens"), Tokens(run, length, brick.width))
    tokens = _lower_blocks(out, brick, tokens, condition, name)
    modulation = _modulation(out, brick, None, condition)
    decoded = out.emit(
        Decode(brick=id, tokens=tokens, modulation=modulation, out=f"{name}.decoded"),
        Tokens(run, length, brick.out_features),
    )
    if index is not None:
        decoded = out.emit(
            PutWindows(brick=id, tokens=decoded, index=index, windows=brick.windows, out=f"{name}.put"),
            Tokens(brick.windows, length, brick.out_features),
        )
    return out.emit(
        Merge(
            brick=id,
            tokens=decoded,
            grid=brick.grid,
            window=brick.window,
            offset=brick.offset,
            receptive_field=brick.receptive_field,
            out=f"{name}.network",
        ),
        Image(brick.out_channels, *brick.grid),
    )


def _lower_blocks(out: Emitter, brick: BrickShape, tokens: Value, condition: Value, name: str) -> Value:
    type = out.type(tokens)
    for i in range(brick.depth):
        modulation = _modulation(out, brick, i, condition)
        tokens = out.emit(
            Attend(
                brick=brick.id,
                block=i,
                heads=brick.heads,
                tokens=tokens,
                modulation=modulation,
                out=f"{name}.{i}.attended",
            ),
            type,
        )
        tokens = out.emit(
            Mlp(brick=brick.id, block=i, tokens=tokens, modulation=modulation, out=f"{name}.{i}.tokens"), type
        )
    return tokens


def _modulation(out: Emitter, brick: BrickShape, block: int | None, condition: Value) -> Value:
    """The modulation of a block, or of the final layer; the same value wherever the block runs again."""
    value = f"{brick.id}.{'final' if block is None else block}.modulation"
    if out.defines(value):
        return value
    features = (2 if block is None else 6) * brick.width
    return out.emit(Modulate(brick=brick.id, block=block, condition=condition, out=value), Vector(features))
