"""Images that a call starts from: noised and denoised again (img2img), or kept outside a mask (inpainting).

Inpainting replaces the estimate: wherever the mask keeps a pixel, the clean image's estimate is the image itself. A
sampler then walks such a pixel down as the image under noise of the level, the seed's own, and ends at the image: the
known pixels are those of the forward process at every level, as if they were replaced step by step, with any sampler.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data.pictures import SUFFIXES, decode, read_header
from legoc_runtime.errors import UsageError
from legoc_runtime.vae import Vae

GRID_NAME = "grid.png"

WHITE = 128
"""Grey level from which on a mask's pixel is made anew."""

DEFAULT_STRENGTH = 0.6
"""Share of the steps that run from an image without a mask."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a call starts from. Images are read when their batch comes, so that a folder of any size may be given.

    Attributes:
        paths: the images, in the order of their names; seed s starts from the one at s mod their number.
        digest: SHA-256 of their names and bytes.
        strength: share of the steps that run, above 0 up to 1.
        anew: bool [H,W], true where pixels, or latents, are made anew; None makes all anew.
        shape: channels, height, width of an image.
        vae: makes latents of the images, for a stack over latents.
    """

    paths: tuple[Path, ...]
    digest: str
    strength: float
    anew: NDArray[np.bool_] | None
    shape: tuple[int, int, int]
    vae: Vae | None = None

    def first_step(self, steps: int) -> int:
        """The step that sampling begins at: the last `strength` of the steps run, at least one."""
        return steps - max(1, round(self.strength * steps))

    def path_of(self, seed: int) -> Path:
        """The image that a seed starts from."""
        return self.paths[seed % len(self.paths)]

    def images(self, seeds: Sequence[int]) -> NDArray[np.float64]:
        """The images of these seeds [N,C,H,W] in [-1, 1], or their latents, the means of what the VAE gives."""
        rows = [_pixels(self.path_of(seed), self.shape) for seed in seeds]
        pixels = np.stack(rows).astype(np.float64) / 127.5 - 1
        if self.vae is None:
            return pixels
        return self.vae.latents(torch.tensor(pixels, dtype=torch.float32)).double().numpy()

    def record(self, steps: int, sigma: float) -> dict[str, Any]:
        """What samples.json says of it: what pictures depend on, and the noise level that they begin at."""
        mask = None if self.anew is None else hashlib.sha256(np.packbits(self.anew).tobytes()).hexdigest()
        return {
            "images": len(self.paths),
            "sha256": self.digest,
            "mask_sha256": mask,
            "strength": self.strength,
            "first_step": self.first_step(steps),
            "sigma": sigma,
        }


def read_given(
    shape: StackShape,
    images: Path,
    mask: Path | None,
    strength: float | None,
    size: tuple[int, int] | None = None,
    vae: Vae | None = None,
) -> Given:
    """Check what a call starts from; images are looked at, and read later.

    Args:
        shape: the stack.
        images: an image, or a folder of images.
        mask: a picture, white where pixels are made anew; None makes all anew.
        strength: share of the steps that run; None is 1 with a mask, else `DEFAULT_STRENGTH`.
        size: height and width of a canvas; None is the stack's grid.
        vae: of a stack over latents; images then have the size of its pictures.

    Raises:
        UsageError: the stack makes no pictures, there are no images, one has another size or colour, the mask is
            empty or full, the strength is none.
        RunError: a file cannot be read as an image.
    """
    if vae is None and shape.channels not in (1, 3):
        raise UsageError(
            f"this stack makes latents of {shape.channels} channels, and --from takes pictures",
            help="pass --decoder VAE: it makes latents of pictures, too",
        )
    share = strength if strength is not None else DEFAULT_STRENGTH if mask is None else 1.0
    if not 0 < share <= 1:
        raise UsageError(
            f"--strength must be above 0 and at most 1, got {share:g}", help="0.6 runs the last 60% of steps"
        )
    if mask is None and share == 1:
        raise UsageError("--strength 1 leaves nothing of the image", help="pass less, or leave --from out")
    grid = shape.grid if size is None else size
    wanted = (shape.channels, *grid) if vae is None else vae.picture_shape((shape.channels, *grid))
    paths = _paths(images)
    digest = hashlib.sha256()
    for path in paths:
        _pixels(path, wanted)
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    anew = None if mask is None else _read_mask(mask, wanted[1:])
    if anew is not None and vae is not None:
        anew = _of_latents(anew, vae.factor)
        if anew.all():
            raise UsageError(
                f"the mask {mask} leaves no whole latent of {vae.factor}x{vae.factor} pixels black",
                help="paint more of it black",
            )
    return Given(paths, digest.hexdigest(), share, anew, wanted, vae)


def _paths(images: Path) -> tuple[Path, ...]:
    if images.is_file():
        return (images,)
    if not images.is_dir():
        raise UsageError(f"there is nothing at {images}", help="give --from an image or a folder of images")
    # a set of samples may be given: its grid is none of them
    names = (path for path in images.iterdir() if path.name[0] != "." and path.name != GRID_NAME)
    found = sorted(path for path in names if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"{images} holds no images", help=f"--from reads {', '.join(SUFFIXES)}")
    return tuple(found)


def _pixels(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """An image [C,H,W], decoded whole."""
    channels, height, width = shape
    try:
        with path.open("rb") as file:
            header = read_header(file, str(path))
            if (header.height, header.width) != (height, width):
                raise UsageError(
                    f"{path} is {header.height}x{header.width}; pictures of {height}x{width} are made",
                    help=f"crop or resize it to {height} rows and {width} columns",
                )
            if channels == 1 and not header.gray:
                raise UsageError(f"{path} is a colour image; the stack makes grey ones", help="convert it to grey")
            file.seek(0)
            return decode(file, str(path), channels=channels, height=height, width=width)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", help="give another image") from error


def _of_latents(anew: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """Which latents are made anew: those of which any pixel is."""
    height, width = anew.shape
    cells = anew.reshape(height // factor, factor, width // factor, factor)
    found: NDArray[np.bool_] = np.logical_or.reduce(cells, axis=(1, 3))
    return found


def _read_mask(path: Path, grid: tuple[int, int]) -> NDArray[np.bool_]:
    anew: NDArray[np.bool_] = _pixels(path, (3, *grid)).mean(axis=0) >= WHITE
    if not anew.any():
        raise UsageError(f"the mask {path} is black: every pixel is kept", help="paint white what is to be made anew")
    if anew.all():
        raise UsageError(
            f"the mask {path} is white: no pixel is kept", help="leave --mask out, or paint black what is kept"
        )
    return anew
