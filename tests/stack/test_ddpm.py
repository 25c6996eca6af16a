"""A stack on DDPM's chain is called as every other: mixed levels, tables, 16 bits; v comes after the estimate."""

from __future__ import annotations

import pytest
import torch

from legoc_runtime.contract.policy import Policy, tabulate
from legoc_runtime.contract.predicate import Compare, Name, Number
from legoc_runtime.contract.schedule import ddpm_levels
from legoc_runtime.contract.stack import DdpmConstants
from tests.lower.equivalence import with_ddpm
from tests.stack.conditioned import brick_stack
from tests.stacks import stack

SHAPE = with_ddpm(stack((4, 16), grid=(16, 16), receptive_fields=(2, 4), ids=("low", "top")), "learned_range")
LATE = Policy("late", (("top", Compare(Name("t"), (("<", Number(150.0)),))),))
STEPS = (0, 5, 2, 4, 1, 5, 3)
X = torch.randn(len(STEPS), 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 5, 3, 3, 1, 0, 2])


@torch.no_grad()
def test_mixed_timesteps_and_tables_give_what_each_image_gets_alone() -> None:
    assert isinstance(SHAPE.diffusion, DdpmConstants)
    two, levels = brick_stack(SHAPE), ddpm_levels(6, SHAPE.diffusion)
    table = tabulate(LATE, SHAPE.ids, levels)
    assert table.configurations == (("low", "top"),) * 3 + (("low",),) * 3
    sigma = torch.tensor([levels[step].sigma for step in STEPS])
    together = two.by_level(X, sigma, LABELS, runs=table)
    assert together.shape == (len(STEPS), 6, 16, 16)
    calls = [(what, level.sigma) for what, level in zip(table.configurations, levels, strict=True)]
    ahead = two.tabulate(calls, range(6))
    assert torch.equal(two.by_level(X, sigma, LABELS, runs=table, table=ahead), together)
    assert ahead.use.direct == 0
    for i, step in enumerate(STEPS):
        row = slice(i, i + 1)
        alone = two(X[row], sigma[i], LABELS[row], configuration=table.configurations[step])
        torch.testing.assert_close(alone, together[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 3e-2), (torch.float16, 5e-3)], ids=str)
@torch.no_grad()
def test_sixteen_bits_never_round_the_timestep(dtype: torch.dtype, bound: float) -> None:
    """In bfloat16 t = 299 would be 300, and t = 289 would be 288: the noise would be that of another timestep."""
    assert isinstance(SHAPE.diffusion, DdpmConstants)
    exact, rounded = brick_stack(SHAPE), brick_stack(SHAPE, dtype=dtype)
    timesteps = rounded.store.chain(rounded.store.chain.levels)[3]
    assert torch.equal(timesteps, torch.arange(300, dtype=torch.float32))
    for level in ddpm_levels(31, SHAPE.diffusion)[:3]:
        x, sigma = X * (1 + level.sigma**2) ** 0.5, torch.tensor(level.sigma)
        one, other = (found(x, sigma, LABELS) for found in (exact, rounded))
        noise = [(x - result[:, :3]) / level.sigma for result in (one, other)]
        assert other.dtype == torch.float32
        assert 0 < (noise[0] - noise[1]).abs().max() <= bound * noise[0].abs().max()
        assert (one[:, 3:] - other[:, 3:]).abs().max() <= bound * one[:, 3:].abs().max()
