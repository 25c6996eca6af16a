"""Profiles of averages against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from legoc_runtime.contract.profiles import Profile, decay, gamma_of, gram


@pytest.mark.parametrize(("width", "gamma"), [(0.05, 16.97), (0.10, 6.94)])
def test_widths_are_those_of_the_paper(width: float, gamma: float) -> None:
    """EDM2, section 3.1, names both."""
    assert gamma_of(width) == pytest.approx(gamma, abs=0.005)


@pytest.mark.parametrize("width", [0.01, 0.1, 0.28])
def test_width_is_the_standard_deviation_of_the_density(width: float) -> None:
    gamma = gamma_of(width)
    times = (np.arange(1_000_000) + 0.5) / 1_000_000
    density = (gamma + 1) * times**gamma
    mean = np.mean(density * times)
    assert np.sqrt(np.mean(density * (times - mean) ** 2)) == pytest.approx(width, rel=1e-4)


def test_inner_products_are_integrals() -> None:
    one, other = Profile(400, 3.0), Profile(1000, 6.9)
    times = (np.arange(400_000) + 0.5) / 1000

    def density(of: Profile) -> np.ndarray:
        return np.where(times < of.step, (of.gamma + 1) / of.step * (times / of.step) ** of.gamma, 0.0)

    expected = np.sum(density(one) * density(other)) / 1000
    assert gram([one], [other])[0][0] == pytest.approx(expected, rel=1e-4)
    assert one.dot(other) == other.dot(one)
    assert Profile(10**7, 500.0).dot(Profile(10**6, 500.0)) == 0.0  # no overflow


def test_the_first_step_is_all_of_the_average() -> None:
    assert decay(1, 6.9) == 0.0
    assert decay(2, 1.0) == 0.25
