"""DDPM's and DDIM's samplers against the public ones, in float64 (tests/reference/README.md)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from legoc_runtime.contract.policy import Policy
from legoc_runtime.contract.predicate import Compare, Name, Number
from legoc_runtime.contract.request import parse_classes
from legoc_runtime.contract.schedule import Evaluation, Level, ddpm_levels, evaluations
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import DdpmConstants, StackShape, Variance
from legoc_runtime.errors import UsageError
from legoc_runtime.sampling.ddim import Ddim
from legoc_runtime.sampling.ddpm import Ancestral
from legoc_runtime.sampling.plan import make_plan
from legoc_runtime.sampling.run import SamplingRun
from legoc_runtime.sampling.sampler import Denoiser, State, StepNoise
from tests.reference_files import reference
from tests.sampling.fakes import FormulaStack, shape

STORED = reference("ddpm")


def levels(steps: int) -> tuple[Level, ...]:
    return ddpm_levels(steps, DdpmConstants())


def denoiser(schedule: tuple[Level, ...], learned: bool) -> Denoiser:
    """The exact denoiser of the stored data, and the stored form of v in the scale of x_t."""
    s, mu = STORED["s"], STORED["mu"]

    def denoise(x: Tensor, sigma: float, evaluation: Evaluation) -> Tensor:
        estimate = (s**2 * x + sigma**2 * mu) / (s**2 + sigma**2)
        if not learned:
            return estimate
        x_t, t = x / math.sqrt(1 + sigma**2), schedule[evaluation.level].t
        assert t is not None
        return torch.cat([estimate, torch.cos(2 * x_t + t / 100)], dim=1)

    return denoise


def trajectory(sampler: Ancestral | Ddim, denoise: Denoiser, noise: StepNoise) -> Tensor:
    """Every state as x_t, the sample last."""
    states: list[State] = []
    sampler(sampler.begin(STORED["x_T"]), denoise, noise, states.append)
    return torch.stack([state.x / math.sqrt(1 + state.sigma**2) for state in states])


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large", "learned_range"])
def test_ancestral_states_are_the_public_ones(variance: Variance) -> None:
    schedule, drawn = levels(10), list[int]()
    assert [level.t for level in schedule] == [int(t) for t in STORED["ddpm10/model_t"]]

    def noise(step: int) -> Tensor:
        drawn.append(step)
        return STORED["noise/10"][step]

    sampler = Ancestral(schedule, evaluations("ddpm", 10), DdpmConstants(variance=variance))
    states = trajectory(sampler, denoiser(schedule, variance == "learned_range"), noise)
    torch.testing.assert_close(states, STORED[f"ddpm10/{variance}/trajectory"], rtol=1e-10, atol=1e-10)
    assert drawn == list(range(9))


def test_ddim_states_are_the_public_ones() -> None:
    def no_noise(step: int) -> Tensor:
        raise AssertionError(f"noise drawn at step {step}")

    schedule = levels(10)
    sampler = Ddim(schedule, evaluations("ddim", 10))
    states = trajectory(sampler, denoiser(schedule, learned=False), no_noise)
    torch.testing.assert_close(states, STORED["ddim10/trajectory"], rtol=1e-10, atol=1e-10)


def test_ddim_with_all_its_noise_is_ddpm_with_the_posteriors_variance() -> None:
    schedule = levels(10)
    denoise = denoiser(schedule, learned=False)
    ours = trajectory(Ddim(schedule, evaluations("ddim", 10), eta=1.0), denoise, lambda step: STORED["noise/10"][step])
    expected = STORED["ddpm10/fixed_small/trajectory"]
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


def test_a_given_image_is_noised_to_the_first_level() -> None:
    schedule = levels(10)
    image, noise = torch.full((1, 3, 2, 2), 0.5), torch.ones(1, 3, 2, 2)
    for sampler in (
        Ancestral(schedule, evaluations("ddpm", 10)[4:], DdpmConstants()),
        Ddim(schedule, evaluations("ddim", 10)[4:]),
    ):
        begun = sampler.begin(noise, image)
        torch.testing.assert_close(begun, torch.full_like(begun, 0.5 + schedule[4].sigma))
        states: list[State] = []
        result = sampler(
            begun, lambda x, sigma, evaluation: image.double(), lambda step: torch.zeros(1, 3, 2, 2), states.append
        )
        assert [state.step for state in states] == [4, 5, 6, 7, 8, 9, 10]
        assert states[0].sigma == schedule[4].sigma
        torch.testing.assert_close(result, image.double())


class LearnedStack(FormulaStack):
    """With a variance of v = the label's tenth."""

    def __call__(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, **given: object) -> Tensor:
        estimate = super().__call__(x, sigma, labels, **given)  # type: ignore[arg-type]
        v = torch.zeros(len(x)) if labels is None else labels.float() / 10
        return torch.cat([estimate, v[:, None, None, None].expand_as(estimate)], dim=1)


def ddpm_shape(variance: Variance = "fixed_small") -> StackShape:
    return replace(shape(), diffusion=DdpmConstants(steps=200, variance=variance))


LATE = Policy("late", (("image", Compare(Name("t"), (("<", Number(100.0)),))),))


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize("variance", ["fixed_large", "learned_range"])
def test_a_run_skips_by_the_timestep_and_guides_the_image_alone(sampler: str, variance: Variance) -> None:
    learned = ddpm_shape(variance)
    settings = SampleSettings(sampler, 10, guidance=2.0)  # pyright: ignore[reportArgumentType]
    plan = make_plan(learned, LATE, settings, (0, 1, 2), parse_classes("0,1,2"))
    stack = LearnedStack(learned) if variance == "learned_range" else FormulaStack(learned)
    run = SamplingRun(stack, plan)
    (batch,) = run.batches(3)
    assert batch.pictures.shape == (3, 3, 8, 8)
    without = [call.step for call in run.trace.calls if "image" not in call.bricks]
    assert without == [i for i, level in enumerate(plan.table.levels) if (level.t or 0) < 100] != []
    alone = [next(SamplingRun(stack, plan).batches(1)).pictures]
    assert torch.equal(alone[0][0], batch.pictures[0])


def test_eta_belongs_to_ddim() -> None:
    with pytest.raises(UsageError, match="takes no eta"):
        make_plan(ddpm_shape(), LATE, SampleSettings("ddpm", 10, eta=0.5), (0,))
    with pytest.raises(UsageError, match="0 to 1"):
        make_plan(ddpm_shape(), LATE, SampleSettings("ddim", 10, eta=1.5), (0,))
    with pytest.raises(UsageError, match="belongs to edm"):
        make_plan(ddpm_shape(), LATE, SampleSettings("heun", 10), (0,))
    assert make_plan(ddpm_shape(), LATE, SampleSettings("ddim", 10, eta=0.5), (0,)).evaluations
