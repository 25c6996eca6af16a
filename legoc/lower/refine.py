"""A pretrained model above other bricks, as operations: what it is given in place of the noisy image."""

from __future__ import annotations

from typing import assert_never

from legoc.lower.emitter import Emitter
from legoc_runtime.contract.program import Scalar, Value
from legoc_runtime.contract.refine_ops import LessNoise, LowerLevel
from legoc_runtime.contract.schedule import alphas_cumprod
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants, PretrainedShape


def emit_refined(out: Emitter, given: PretrainedShape, estimate: Value) -> tuple[Value, Value]:
    """Emit the noisy image at a lower noise level, to which the estimate from below leads; and that level."""
    assert given.noise_scale is not None, "a brick above others has its share of the noise"
    level = LowerLevel(
        brick=given.id,
        sigma="sigma",
        scale=given.noise_scale,
        lowest=lowest_level(given),
        out=f"{given.id}.level",
    )
    less = LessNoise(
        brick=given.id,
        estimate=estimate,
        image="x",
        sigma="sigma",
        level=out.emit(level, Scalar()),
        out=f"{given.id}.image",
    )
    return out.emit(less, out.type("x")), level.out


def lowest_level(given: PretrainedShape) -> float:
    """The lowest noise level that a model was trained for; 0 where nothing tells it."""
    if given.sigmas:
        return given.sigmas[0]
    if given.stack is None:
        return 0.0
    diffusion = given.stack.diffusion
    match diffusion:
        case EdmConstants():
            return diffusion.sigma_min
        case DdpmConstants():
            signal = max(alphas_cumprod(diffusion))
            return ((1 - signal) / signal) ** 0.5
        case _:
            assert_never(diffusion)
