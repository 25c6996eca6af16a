"""How an image of any size becomes one of the stack's grid: a few rules with names, each of which others trained under.

    none         nothing: images have the stack's size already
    box          the whole image to the grid, by means over areas; proportions are not kept
    adm          halved by means over areas while it is twice the grid or more, then bicubic until it just covers the
                 grid, then the centre: what ADM (Dhariwal and Nichol 2021), DiT and EDM train on of ImageNet
    celeba_crop  the centre 140x140 of an aligned CelebA image (218x178), then bilinear: NCSN (Song and Ermon 2019) and
                 the score SDE (Song et al. 2021)

Pillow's filters widen with the reduction, so that none of these leaves aliases.
"""

from __future__ import annotations

from PIL import Image
from PIL.Image import Resampling

from legoc_runtime.contract.settings import Resize
from legoc_runtime.errors import RunError, UsageError

CELEBA_SIZE = (218, 178)
"""Height and width of the aligned and cropped images that CelebA is published as."""

CELEBA_CROP = 140

Size = tuple[int, int]
"""Height and width."""


def check_rule(rule: Resize, size: Size | None) -> None:
    """Whether a rule can make images of a size.

    Args:
        rule: the rule.
        size: height and width to come out at; None where nobody said.

    Raises:
        UsageError: the rule needs a size and there is none, or a square one.
    """
    if rule == "none":
        return
    if size is None:
        raise UsageError(f"resize: {rule} needs a size to come out at", help="give the height and width of the images")
    if rule == "celeba_crop" and size[0] != size[1]:
        raise UsageError(
            f"resize: celeba_crop makes square images, not {size[0]}x{size[1]}", help="use a square grid, or `adm`"
        )


def check_source_size(rule: Resize, size: Size, name: str) -> None:
    """Whether a rule takes images of a size.

    Args:
        rule: the rule.
        size: height and width of the image.
        name: how errors call it.

    Raises:
        RunError: `celeba_crop` on an image that is no aligned one of CelebA.
    """
    if rule == "celeba_crop" and size != CELEBA_SIZE:
        high, wide = CELEBA_SIZE
        raise RunError(
            f"{name} is {size[0]}x{size[1]}; celeba_crop takes CelebA's aligned images of {high}x{wide}",
            help="use `adm`, which takes images of any size",
        )


def resized(image: Image.Image, rule: Resize, size: Size) -> Image.Image:
    """An image under a rule.

    Args:
        image: gray or RGB.
        rule: any but `none`.
        size: height and width to come out at.
    """
    match rule:
        case "box":
            return image.resize((size[1], size[0]), Resampling.BOX)
        case "adm":
            return _adm(image, size)
        case "celeba_crop":
            left, top = (image.width - CELEBA_CROP) // 2, (image.height - CELEBA_CROP) // 2
            face = image.crop((left, top, left + CELEBA_CROP, top + CELEBA_CROP))
            return face.resize((size[1], size[0]), Resampling.BILINEAR)
        case "none":
            raise AssertionError("images that stay as they are do not come here")


def _adm(image: Image.Image, size: Size) -> Image.Image:
    high, wide = size
    while image.height >= 2 * high and image.width >= 2 * wide:
        image = image.resize((image.width // 2, image.height // 2), Resampling.BOX)
    scale = max(high / image.height, wide / image.width)
    # rounding must not leave the image a pixel short of the grid
    covering = (max(wide, round(image.width * scale)), max(high, round(image.height * scale)))
    image = image.resize(covering, Resampling.BICUBIC)
    left, top = (image.width - wide) // 2, (image.height - high) // 2
    return image.crop((left, top, left + wide, top + high))
