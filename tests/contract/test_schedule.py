"""DDPM's chain and its respaced timesteps against the public ones, and the evaluations of the samplers."""

from __future__ import annotations

import math

import pytest

from legoc_runtime.contract import codec
from legoc_runtime.contract import predicate as p
from legoc_runtime.contract.policy import Policy, tabulate
from legoc_runtime.contract.schedule import (
    alphas_cumprod,
    ddpm_timesteps,
    edm_levels,
    evaluations,
    heun_evaluations,
    noise_levels,
)
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants, StackShape
from legoc_runtime.errors import RunError, UsageError
from tests.reference_files import reference
from tests.stacks import stack

REFERENCE = reference("ddpm")


def numbers(name: str) -> list[float]:
    return [float(value) for value in REFERENCE[name]]


def test_alphas_cumprod_are_the_public_ones() -> None:
    ours, theirs = alphas_cumprod(DdpmConstants()), numbers("base1000/alphas_cumprod")
    assert len(ours) == len(theirs) == 1000
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-12


@pytest.mark.parametrize("steps", [10, 50, 250])
def test_timesteps_and_noise_levels_are_the_public_ones(steps: int) -> None:
    timesteps = numbers(f"respace/{steps}/timesteps")
    assert ddpm_timesteps(steps, DdpmConstants()) == tuple(reversed(timesteps))
    levels = noise_levels(steps, DdpmConstants(), guided=True)
    signal = numbers(f"respace/{steps}/alphas_cumprod")[::-1]
    assert [level.t for level in levels] == timesteps[::-1]
    assert all(level.guided and level.step == i and level.steps == steps for i, level in enumerate(levels))
    for level, abar in zip(levels, signal, strict=True):
        assert level.sigma == pytest.approx(math.sqrt((1 - abar) / abar), rel=1e-12)


def test_every_timestep_is_a_level_when_all_are_asked_for() -> None:
    assert ddpm_timesteps(1000, DdpmConstants()) == tuple(range(999, -1, -1))
    with pytest.raises(UsageError, match="1,001 steps on a diffusion of 1,000 timesteps"):
        ddpm_timesteps(1001, DdpmConstants())


def test_a_chain_that_leaves_no_signal_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing of the image is left"):
        noise_levels(10, DdpmConstants(steps=10_000, beta_end=0.5))


def test_edm_levels_have_no_timestep() -> None:
    assert noise_levels(5, EdmConstants()) == edm_levels(5, EdmConstants())
    assert {level.t for level in noise_levels(5, EdmConstants())} == {None}


def test_ddpm_evaluates_each_level_once() -> None:
    assert [(e.step, e.order, e.level) for e in evaluations("ddpm", 3)] == [(0, 1, 0), (1, 1, 1), (2, 1, 2)]
    assert evaluations("heun", 7) == heun_evaluations(7)
    assert evaluations("euler", 3) == evaluations("dpmpp_2m", 3) == evaluations("ddpm", 3)


def test_predicates_read_the_timestep_of_ddpm_and_refuse_it_for_edm() -> None:
    late = Policy("late", (("whole", p.Compare(p.Name("t"), (("<", p.Number(500)),))),))
    bricks = stack().ids
    assert tabulate(late, bricks, noise_levels(10, DdpmConstants())).skipped("whole") == 5
    assert p.from_json(p.to_json(late.skips[0][1])) == late.skips[0][1]
    with pytest.raises(UsageError, match="`t`, the timestep of DDPM"):
        tabulate(late, bricks, edm_levels(10, EdmConstants()))


@pytest.mark.parametrize("diffusion", [EdmConstants(sigma_max=40.0), DdpmConstants(variance="learned_range")])
def test_diffusions_are_told_apart_by_kind(diffusion: EdmConstants | DdpmConstants) -> None:
    shape = stack()
    shape = StackShape(3, (32, 32), 5, "table", "row_column", 32, "x0", diffusion, shape.bricks, time_scale=2.5)
    data = codec.encode_fields(shape)
    assert data["diffusion"]["kind"] == diffusion.kind
    assert codec.decode(StackShape, data, where="here") == shape
    with pytest.raises(RunError, match=r"here\.diffusion.*edm, ddpm"):
        codec.decode(StackShape, data | {"diffusion": data["diffusion"] | {"kind": "vp"}}, where="here")
    with pytest.raises(RunError, match="unknown foreign"):
        codec.decode(StackShape, data | {"diffusion": data["diffusion"] | {"foreign": 1}}, where="here")


def test_only_edm_has_its_constants() -> None:
    shape = stack()
    assert shape.edm is shape.diffusion
    ddpm = StackShape(3, (32, 32), 5, "table", "row_column", 32, "x0", DdpmConstants(), shape.bricks)
    with pytest.raises(UsageError, match="`ddpm`") as refused:
        _ = ddpm.edm
    assert "edm" in str(refused.value.help)
