"""The maths: against torch-fidelity and scipy on stored features, and against what can be computed by hand."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.evaluation.frechet import frechet_distance
from legoc_runtime.evaluation.kernel import kernel_distance, squared_mmd
from legoc_runtime.evaluation.manifold import precision_and_recall, squared_distances
from legoc_runtime.evaluation.moments import Moments, MomentsSum
from legoc_runtime.evaluation.score import ScoreSum

REFERENCE = Path(__file__).parents[1] / "reference" / "metrics.safetensors"


@pytest.fixture(scope="module")
def stored() -> dict[str, Tensor]:
    return tensorfile.load(REFERENCE)


@pytest.fixture(scope="module")
def results() -> dict[str, float]:
    return json.loads(tensorfile.metadata(REFERENCE)["results"])


def moments(vectors: Tensor, batch: int = 7) -> Moments:
    gathered = MomentsSum(vectors.shape[1])
    for start in range(0, len(vectors), batch):
        gathered.add(vectors[start : start + batch])
    return gathered.moments()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_frechet_distance_is_that_of_scipy_and_torch_fidelity(stored: dict[str, Tensor], results: dict[str, float]):
    found = frechet_distance(moments(stored["samples"]), moments(stored["reference"]))
    assert found == pytest.approx(results["frechet_scipy"], rel=1e-10)
    assert found == pytest.approx(results["frechet_torch_fidelity"], rel=1e-10)


def test_frechet_distance_of_fewer_pictures_than_features(stored: dict[str, Tensor], results: dict[str, float]):
    found = frechet_distance(moments(stored["samples"][:8]), moments(stored["reference"]))
    # eigenvalues that are 0 but for rounding enter by their roots
    assert found == pytest.approx(results["frechet_of_few_torch_fidelity"], rel=1e-6)


def test_kernel_distance_precision_recall_and_score_are_those_of_torch_fidelity(
    stored: dict[str, Tensor], results: dict[str, float]
):
    samples, reference = stored["samples"], stored["reference"]
    assert squared_mmd(samples, reference) == pytest.approx(results["squared_mmd_torch_fidelity"], rel=1e-10)
    assert precision_and_recall(samples, reference) == pytest.approx(
        (results["precision"], results["recall"]), abs=1e-6
    )
    score = ScoreSum(split=50)
    for start in range(0, 150, 13):
        score.add(stored["logits"][start : start + 13])
    found = torch.tensor(score.scores(), dtype=torch.float64)
    assert len(found) == 3
    assert float(found.mean()) == pytest.approx(results["score_of_3_splits_mean"], rel=1e-10)
    assert float(found.std(correction=0)) == pytest.approx(results["score_of_3_splits_deviation"], rel=1e-10)


def test_frechet_distance_of_gaussians_that_commute_has_a_closed_form():
    """Dowson and Landau 1982: |mean|^2 + sum (sqrt(a_i) - sqrt(b_i))^2 where both covariances share their axes."""
    linalg: Any = torch.linalg  # without types
    axes: Tensor = linalg.qr(noise(5, 5)).Q
    a, b = torch.tensor([[1.0, 4, 9, 0.25, 0], [4.0, 1, 9, 1, 2]], dtype=torch.float64)
    shift = noise(5, seed=1)
    first = Moments(shift, axes @ a.diag() @ axes.T)
    second = Moments(torch.zeros(5, dtype=torch.float64), axes @ b.diag() @ axes.T)
    expected = float(shift.square().sum() + (a.sqrt() - b.sqrt()).square().sum())
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-7)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-7)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-7)


def test_moments_do_not_depend_on_the_batch_and_survive_a_large_mean():
    vectors = noise(50, 3) * 1e-3 + 1e4
    for batch in (1, 7, 50):
        found = moments(vectors, batch)
        torch.testing.assert_close(found.mean, vectors.mean(dim=0), rtol=1e-14, atol=0)
        torch.testing.assert_close(found.covariance, vectors.T.cov(), rtol=1e-5, atol=1e-14)


def test_the_kernel_distance_is_unbiased():
    """Over all halves of one population, both drawn without repetition, its mean is 0."""
    population = noise(8, 2)
    halves = [set(half) for half in itertools.combinations(range(8), 4)]
    values = [squared_mmd(population[sorted(half)], population[sorted(set(range(8)) - half)]) for half in halves]
    assert max(map(abs, values)) > 0.05
    # what halves share by being complements is made up for exactly: E k(x, x') is the same within and between
    assert sum(values) / len(values) == pytest.approx(0, abs=1e-12)


def test_kernel_distance_over_subsets_can_be_had_again_and_tells_sets_apart():
    one, other = noise(60, 4), noise(60, 4, seed=1)
    mean, deviation = kernel_distance(one, other, subsets=20, size=20)
    assert (mean, deviation) == kernel_distance(one, other, subsets=20, size=20)
    assert abs(mean) < 3 * deviation
    far, _ = kernel_distance(one, other + 1, subsets=20, size=20)
    assert far > 10 * abs(mean)


def test_precision_and_recall_of_a_set_and_itself_are_1_and_of_far_sets_0():
    one = noise(40, 6).float()
    assert precision_and_recall(one, one) == (1, 1)
    assert precision_and_recall(one, one + 100) == (0, 0)
    assert precision_and_recall(one[:1].repeat(6, 1), one[:1].repeat(9, 1)) == (1, 1), "copies are within radius 0"


def test_precision_is_of_samples_and_recall_of_the_reference():
    """Two clusters in the reference, samples of one: all of them real, half of the reference reached."""
    left, right = noise(30, 2), noise(30, 2, seed=1) + 50
    precision, recall = precision_and_recall(left + 1e-3, torch.cat([left, right]))
    assert (precision, recall) == (1, 0.5)


def test_distances_of_copies_are_exactly_0_and_of_others_those_of_cdist():
    one = noise(30, 5).float() * 100
    ((rows, found),) = list(squared_distances(one, one))
    assert rows.start == 0
    assert torch.all(found.diagonal() == 0)
    exact = (one.double()[:, None] - one.double()).square().sum(dim=2)
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)


def test_the_score_is_the_number_of_classes_at_best_and_1_at_worst():
    best, worst = ScoreSum(), ScoreSum()
    best.add(torch.eye(5).repeat(4, 1) * 1000)
    worst.add(torch.eye(5)[:1].repeat(9, 1) * 1000)
    assert best.scores() == pytest.approx((5,))
    assert worst.scores() == pytest.approx((1,))


def test_a_last_split_that_is_not_full_does_not_count_beside_full_ones():
    score = ScoreSum(split=4)
    score.add(torch.zeros(9, 3))
    assert score.scores() == pytest.approx((1, 1))
    assert not math.isnan(score.scores()[0])
