from __future__ import annotations

import torch

from legoc_runtime.sampling.noise import churn_noise, start_noise

SHAPE = (3, 8, 6)


def test_the_noise_of_a_seed_is_the_same_in_any_batch():
    seeds = [7, 0, 2**63 + 1, 123]
    together = start_noise(seeds, SHAPE)
    for i, seed in enumerate(seeds):
        assert torch.equal(together[i : i + 1], start_noise([seed], SHAPE))
    assert torch.equal(churn_noise(seeds, SHAPE, 4)[1:3], churn_noise(seeds[1:3], SHAPE, 4))


def test_seeds_steps_and_purposes_have_noise_of_their_own():
    rows = [start_noise([0, 1], SHAPE), churn_noise([0, 1], SHAPE, 0), churn_noise([0, 1], SHAPE, 1)]
    flat = torch.cat(rows).flatten(1)
    assert len(torch.unique(flat, dim=0)) == 6
    correlation = torch.corrcoef(flat) - torch.eye(6, dtype=torch.float64)
    assert correlation.abs().max() < 0.4


def test_noise_is_standard_normal():
    noise = start_noise(range(200), SHAPE)
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
