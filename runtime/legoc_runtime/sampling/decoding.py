"""How latents become pictures: a VAE, what of it is held at once, and what the record says of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from legoc_runtime.errors import UsageError
from legoc_runtime.vae import Tiles, Vae


@dataclass(frozen=True)
class Decoding:
    """A VAE and how it is used.

    Attributes:
        vae: decodes.
        picture_shape: channels, height, width of a picture.
        batch: pictures at once: what memory grows with.
        tiles: in which latents are decoded; None decodes them whole.
    """

    vae: Vae
    picture_shape: tuple[int, int, int]
    batch: int = 1
    tiles: Tiles | None = None

    def pictures(self, latents: Tensor) -> Tensor:
        """Pictures float32 [N, 3, H, W] on the CPU, of latents [N, C, h, w]. Raises RunError."""
        return self.vae.pictures(latents, batch=self.batch, tiles=self.tiles)

    def record(self) -> dict[str, Any]:
        """What pictures depend on: the VAE by its checksum, its scale, and tiles. How many at once is rounding."""
        encoder = self.vae.encoder
        return {
            "name": encoder.name,
            "sha256": encoder.sha256,
            "scaling_factor": encoder.scaling_factor,
            "shift_factor": encoder.shift_factor,
            "picture": list(self.picture_shape),
            "tiles": None if self.tiles is None else asdict(self.tiles),
        }

    def describe(self) -> str:
        """One line for people."""
        size = "x".join(map(str, self.picture_shape[1:]))
        line = f"latents are decoded to {size} by {self.vae.encoder.name}, {self.batch} at once"
        if self.tiles is not None:
            side = f"{self.tiles.latent}x{self.tiles.latent}"
            line += f", in tiles of {side} latents that overlap by {self.tiles.overlap:.0%}"
        return line


def make_decoding(vae: Vae, latent: tuple[int, int, int], *, batch: int = 1, tiled: bool = False) -> Decoding:
    """Fit a VAE to the latents of a stack.

    Args:
        vae: the VAE.
        latent: channels, height and width of a latent.
        batch: pictures at once.
        tiled: decode latents larger than the VAE was made for in tiles.

    Raises:
        UsageError: the VAE is of other channels, or makes what is no picture.
    """
    shape = vae.picture_shape(latent)
    if shape[0] not in (1, 3):
        raise UsageError(
            f"the VAE {vae.encoder.name} makes {shape[0]} channels, which are no picture", help="give another VAE"
        )
    return Decoding(vae, shape, batch, vae.tiles(latent) if tiled else None)
