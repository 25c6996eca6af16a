"""What a diffusion makes of a noise level and of a network's output, as operations."""

from __future__ import annotations

from typing import assert_never

from legoc.lower.emitter import Emitter
from legoc_runtime.contract.chain_ops import DdpmScales, JoinChannels, TakeChannels
from legoc_runtime.contract.program import EdmScales, Image, Scalar, ScaleImage, Value, outputs_of
from legoc_runtime.contract.stack import BrickShape, DdpmConstants, Diffusion, EdmConstants


def emit_scales(out: Emitter, diffusion: Diffusion, sigma: Value) -> Value:
    """Emit `c_skip`, `c_out`, `c_in` and `c_noise` of a noise level."""
    match diffusion:
        case EdmConstants(sigma_data=sigma_data):
            op = EdmScales(
                sigma=sigma, c_skip="c_skip", c_out="c_out", c_in="c_in", c_noise="c_noise", sigma_data=sigma_data
            )
        case DdpmConstants():
            op = DdpmScales(
                sigma=sigma, c_skip="c_skip", c_out="c_out", c_in="c_in", c_noise="c_noise", c_below="c_below"
            )
        case _:
            assert_never(diffusion)
    return out.emit(op, *(Scalar() for _ in outputs_of(op)))


def emit_prediction(out: Emitter, brick: BrickShape, network: Value, name: str) -> Value:
    """Emit what a network predicts of the image or its noise, as `NAME.prediction`: all channels but a variance's."""
    if not brick.variance_channels:
        return network
    op = TakeChannels(image=network, first=0, count=brick.channels, out=f"{name}.prediction")
    return out.emit(op, Image(brick.channels, *brick.grid))


def emit_bounded(out: Emitter, diffusion: Diffusion, estimate: Value, name: Value) -> Value:
    """Emit an estimate as a brick hands it on; a network's error of 1 is one of sigma in DDPM's, up to 157 at t = 999.

    EDM's estimates are bounded as they are. DDPM's are drawn to 0 by `c_below`, as c_skip draws EDM's x_t.
    """
    match diffusion:
        case EdmConstants():
            return estimate
        case DdpmConstants():
            return out.emit(ScaleImage(image=estimate, scale="c_below", out=name), out.type(estimate))
        case _:
            assert_never(diffusion)


def emit_variance(out: Emitter, brick: BrickShape, network: Value) -> Value:
    """Emit the channels of a learned variance: v of Nichol and Dhariwal 2021, Eq. 15, from -1 to 1."""
    count = brick.variance_channels
    op = TakeChannels(image=network, first=brick.channels, count=count, out=f"{brick.id}.variance")
    return out.emit(op, Image(count, *brick.grid))


def emit_joined(out: Emitter, id: str, estimate: Value, variance: Value) -> Value:
    """Emit the estimate of a brick and its variance as one image."""
    image, more = out.type(estimate), out.type(variance)
    assert isinstance(image, Image)
    assert isinstance(more, Image)
    op = JoinChannels(images=(estimate, variance), out=f"{id}.result")
    return out.emit(op, Image(image.channels + more.channels, image.height, image.width))
