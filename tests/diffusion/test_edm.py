from __future__ import annotations

import pytest
import torch
from torch import Tensor

from legoc.lower.program import lower_training
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.diffusion.edm import brick_loss, joint_loss, noise_level, shares
from legoc_runtime.errors import UsageError
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore
from tests.parity.test_released_lego import read, released_shape, released_weights
from tests.reference_files import REFERENCE


def test_training_loss_is_the_public_ones() -> None:
    """Stored images, normal numbers, noise and weights give the stored losses, jointly and of the last brick alone."""
    tensors, config = read(REFERENCE / "lego_tiny_pg.safetensors")
    shape = released_shape(config)
    store = WeightStore(shape)
    store.load(released_weights(tensors))
    clean = tensors["loss/images"]
    normals: list[float] = tensors["loss/rnd_normal"].flatten().tolist()
    sigma = torch.tensor([noise_level(normal, shape.diffusion) for normal in normals])
    noisy = clean + sigma[:, None, None, None] * tensors["loss/unit_noise"]
    one_hot = tensors["edm_labels"]
    labels = torch.where(one_hot.any(1), one_hot.argmax(1), shape.classes)
    program = lower_training(shape, TrainSettings())
    given = {"x": noisy, "sigma": sigma, "label": labels, "clean": clean}
    with torch.no_grad():
        estimates: tuple[Tensor, ...] = link(program, store)(*(given[name] for name, _ in program.inputs))
    sd = shape.diffusion.sigma_data
    losses = torch.stack([brick_loss(estimate, clean, sigma, None, sd) for estimate in estimates])
    expected = tensors["loss/joint"].mean(dim=(1, 2, 3))
    torch.testing.assert_close(losses.mean(dim=0), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(losses[-1], tensors["loss/final_only"].mean(dim=(1, 2, 3)), rtol=1e-5, atol=0)
    joint = joint_loss(losses, torch.tensor(shares([1, 1, 1])))
    torch.testing.assert_close(joint, expected.mean(), rtol=1e-5, atol=0)


def test_loss_is_a_mean_over_the_windows_that_ran_and_blind_to_the_others() -> None:
    clean = torch.zeros(2, 3, 4, 4)
    estimate = torch.full_like(clean, torch.nan)
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, :2, :2], estimate[0, :, :2, :2] = 1, 2.0
    mask[1, :, 2:, :2], estimate[1, :, 2:, :2] = 1, 3.0
    sigma = torch.tensor([0.5, 1.0])
    estimate.requires_grad_()
    loss = brick_loss(estimate, clean, sigma, mask, sigma_data=0.5)
    torch.testing.assert_close(loss, torch.tensor([4.0 * 8, 9.0 * 5]))
    loss.sum().backward()  # pyright: ignore[reportUnknownMemberType]
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()
    assert (estimate.grad[mask.expand_as(clean) == 0] == 0).all()


def test_shares_of_the_bricks_add_to_one() -> None:
    assert shares([1, 1, 2]) == (0.25, 0.25, 0.5)
    losses = torch.tensor([[1.0, 3.0], [10.0, 10.0], [0.0, 0.0]])
    assert joint_loss(losses, torch.tensor(shares([1, 1, 2]))).item() == 3.0


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [2.0, -1.0]])
def test_shares_need_a_brick_with_a_loss(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="loss weights"):
        shares(weights)


def test_noise_level_of_the_median_is_exp_p_mean() -> None:
    assert noise_level(0.0, EdmConstants(p_mean=0.0, p_std=9.0)) == 1.0
