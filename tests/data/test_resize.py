"""Resize rules, each against its formula written out plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from legoc_runtime.contract.settings import Resize
from legoc_runtime.data import open_images as open_dataset
from legoc_runtime.data.resize import resized
from legoc_runtime.errors import LegocError, RunError, UsageError
from tests.image_sets import encoded, picture, write_zip


def adm_plainly(image: Image.Image, side: int) -> Image.Image:
    """ADM's centre crop for a square, step by step as its paper's recipe has it."""
    while min(image.size) >= 2 * side:
        image = image.resize((image.size[0] // 2, image.size[1] // 2), Image.Resampling.BOX)
    scale = side / min(image.size)
    image = image.resize((round(image.size[0] * scale), round(image.size[1] * scale)), Image.Resampling.BICUBIC)
    top, left = (image.size[1] - side) // 2, (image.size[0] - side) // 2
    pixels = np.asarray(image)[top : top + side, left : left + side]
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(16, 16), (16, 40), (97, 33), (33, 97), (31, 32), (7, 9), (64, 64), (200, 35)])
def test_adm_is_halving_then_bicubic_then_the_centre(size: tuple[int, int]) -> None:
    image = picture(3, size)
    assert np.array_equal(np.asarray(resized(image, "adm", (16, 16))), np.asarray(adm_plainly(image, 16)))


def test_adm_covers_grids_of_any_proportions() -> None:
    for size in [(8, 24), (24, 8), (9, 13)]:
        found = resized(picture(1, (50, 41)), "adm", size)
        assert (found.height, found.width) == size


def test_adm_keeps_the_centre_and_box_everything() -> None:
    image = Image.new("RGB", (60, 20), "black")
    image.paste("white", (20, 0, 40, 20))
    assert np.asarray(resized(image, "adm", (10, 10))).mean() > 250
    assert np.asarray(resized(image, "box", (10, 10))).mean() == pytest.approx(85, abs=1)


def test_celeba_crop_takes_the_centre_140_of_aligned_faces() -> None:
    image = Image.new("RGB", (178, 218), "red")
    image.paste("blue", (19, 39, 159, 179))
    assert np.array_equal(np.asarray(resized(image, "celeba_crop", (64, 64))), np.full((64, 64, 3), (0, 0, 255)))


def test_sets_of_mixed_sizes_come_to_the_grid(tmp_path: Path) -> None:
    members = {"a.png": encoded(picture(0, (20, 31))), "b.png": encoded(picture(1, (64, 64), "L"))}
    path = write_zip(tmp_path / "x.zip", members)
    with pytest.raises(RunError, match=r"b\.png is 64x64, the first image of the set is 20x31") as error:
        open_dataset(path)
    assert "resize: adm" in (error.value.help or "")
    data = open_dataset(path, resize="adm", size=(8, 8))
    assert np.array_equal(data.image(0), np.asarray(adm_plainly(picture(0, (20, 31)), 8)).transpose(2, 0, 1))
    prints = {open_dataset(path, resize=rule, size=(8, 8)).fingerprint for rule in ("adm", "box")}
    assert len(prints) == 2
    assert "resized: adm" in data.describe()


@pytest.mark.parametrize(
    ("rule", "size", "message"),
    [
        ("adm", None, "needs a size"),
        ("celeba_crop", (8, 16), "square images, not 8x16"),
        ("celeba_crop", (8, 8), r"a\.png is 20x31; celeba_crop takes CelebA's aligned images of 218x178"),
    ],
)
def test_rule_that_does_not_fit_is_refused(
    tmp_path: Path, rule: Resize, size: tuple[int, int] | None, message: str
) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": encoded(picture(0, (20, 31)))})
    with pytest.raises(LegocError, match=message) as error:
        open_dataset(path, resize=rule, size=size)
    assert isinstance(error.value, UsageError | RunError)
    assert error.value.help
