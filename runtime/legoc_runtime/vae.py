"""The VAE of a latent diffusion model, as diffusers loads it from a local folder: pictures to latents and back.

Nothing is fetched, and no pickle is read: weights are safetensors. diffusers is imported when a VAE is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.data.latents import file_digest
from legoc_runtime.data.latents_index import Encoder
from legoc_runtime.errors import RunError, UsageError

CONFIG_NAME = "config.json"
CLASS_NAME = "AutoencoderKL"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_FOLDER = "give the local folder of a VAE of diffusers (its `vae/`, with config.json and .safetensors)"


@dataclass(frozen=True, slots=True)
class Tiles:
    """How a latent larger than the VAE was made for is decoded: in tiles that overlap and are blended.

    Attributes:
        latent: side of a tile, in latents.
        picture: the same in pixels.
        overlap: share of a tile that its neighbour covers too.
    """

    latent: int
    picture: int
    overlap: float


@dataclass(frozen=True)
class Vae:
    """An AutoencoderKL with its weights, in evaluation.

    Attributes:
        model: of diffusers.
        encoder: its name, checksum and scale; with it, latents are (z - shift_factor) * scaling_factor.
        channels: of a latent.
        picture_channels: of a picture.
        factor: pixels along a side of a latent's place.
    """

    model: Any
    encoder: Encoder
    channels: int
    picture_channels: int
    factor: int

    def to(self, device: str | torch.device) -> Vae:
        """The same, moved: a VAE is one, wherever it was named."""
        self.model.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return next(iter(cast("Iterator[Tensor]", self.model.parameters()))).device

    def picture_shape(self, latent: tuple[int, int, int]) -> tuple[int, int, int]:
        """Channels, height and width of the picture of a latent [channels, height, width].

        Raises:
            UsageError: the latent has other channels than those of this VAE.
        """
        channels, height, width = latent
        if channels != self.channels:
            raise UsageError(
                f"the VAE {self.encoder.name} makes pictures of latents of {self.channels} channels, and the stack has "
                f"{channels}",
                help="give the VAE that the stack's training data were encoded with, or `none` to keep what it makes",
            )
        return self.picture_channels, height * self.factor, width * self.factor

    def moments(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the distributions of latents, each [N, channels, height, width] on the CPU.

        Args:
            pictures: float32 [N, 3, H, W] in [-1, 1].

        Raises:
            RunError: the VAE takes no pictures of this size.
        """
        with torch.inference_mode():
            try:
                found = self.model.encode(pictures.to(self.device)).latent_dist
            except RuntimeError as error:
                size = "x".join(map(str, pictures.shape[2:]))
                raise RunError(f"the VAE does not take images of {size}: {error}") from error
            return found.mean.float().cpu(), found.std.float().cpu()

    def latents(self, pictures: Tensor) -> Tensor:
        """The means of pictures' latents as a stack trains on them, scaled; float32 on the CPU. See `moments`."""
        rows = [self.moments(part)[0] for part in _parts(pictures, 1)]
        return (torch.cat(rows) - self.encoder.shift_factor) * self.encoder.scaling_factor

    def pictures(self, latents: Tensor, *, batch: int = 1, tiles: Tiles | None = None) -> Tensor:
        """Pictures of latents.

        Args:
            latents: float32 [N, channels, height, width], as a stack makes them.
            batch: pictures at once: what memory grows with.
            tiles: from `tiles`; None decodes every latent whole.

        Returns:
            float32 [N, 3, H, W] on the CPU, data in [-1, 1] up to what the VAE overshoots.

        Raises:
            RunError: memory does not hold a picture.
        """
        self.model.disable_tiling() if tiles is None else self.model.enable_tiling()
        plain = latents.float() / self.encoder.scaling_factor + self.encoder.shift_factor
        rows: list[Tensor] = []
        with torch.inference_mode():
            for part in _parts(plain, batch):
                try:
                    rows.append(self.model.decode(part.to(self.device)).sample.float().cpu())
                except torch.OutOfMemoryError as error:
                    raise RunError(
                        f"memory does not hold {len(part)} pictures that are decoded at once",
                        help="decode fewer at once (--decode-batch 1), and canvases in tiles",
                    ) from error
        return torch.cat(rows)

    def tiles(self, latent: tuple[int, int, int]) -> Tiles | None:
        """The tiles that a latent [channels, height, width] is decoded in; None where the VAE was made for its size."""
        side = int(self.model.tile_latent_min_size)
        if max(latent[1:]) <= side:
            return None
        return Tiles(side, int(self.model.tile_sample_min_size), float(self.model.tile_overlap_factor))


def _parts(rows: Tensor, count: int) -> list[Tensor]:
    return [rows[start : start + count] for start in range(0, len(rows), count)]


def load_vae(folder: Path, device: str | torch.device = "cpu") -> Vae:
    """A VAE from a local folder in the layout of diffusers.

    Raises:
        UsageError: there is none, its weights are a pickle, diffusers is not installed, or its latents are scaled
            channel by channel.
        RunError: it cannot be loaded, or its weights are cut off.
    """
    check_folder(folder)
    try:
        kind: Any = getattr(import_module("diffusers"), CLASS_NAME)
    except ImportError as error:
        raise UsageError("diffusers is not installed", help="pip install 'legoc[latents]'") from error
    check_whole(folder)
    try:
        model: Any = kind.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, low_cpu_mem_usage=False
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise RunError(
            f"{folder} cannot be loaded as an {CLASS_NAME}: {error}",
            help="copy the VAE again, with its own config.json",
        ) from error
    config = model.config
    if getattr(config, "latents_mean", None) is not None:
        raise UsageError(
            f"{folder} scales its latents channel by channel, which latents here do not",
            help="use a VAE with one `scaling_factor`",
        )
    encoder = Encoder(
        folder.resolve().name,
        file_digest(vae_files(folder)),
        float(config.scaling_factor),
        float(getattr(config, "shift_factor", None) or 0.0),
    )
    factor = 2 ** (len(config.block_out_channels) - 1)
    model = model.to(device).eval().requires_grad_(False)
    return Vae(model, encoder, int(config.latent_channels), int(config.out_channels), factor)


def vae_files(folder: Path) -> list[Path]:
    """The files that a VAE is: its configuration and its weights."""
    return [folder / CONFIG_NAME, *sorted(folder.glob("*.safetensors"))]


def check_whole(folder: Path) -> None:
    """Refuse weights that are cut off or no safetensors, by their headers, which diffusers would not name.

    Raises:
        RunError: naming the file.
    """
    for file in vae_files(folder)[1:]:
        try:
            tensorfile.metadata(file)
        except RunError as error:
            raise RunError(error.message, help="copy the VAE again") from error


def check_folder(folder: Path) -> Mapping[str, object]:
    """What can be told of a folder before diffusers is asked: its `config.json`.

    Raises:
        UsageError: it holds no VAE, or one in a pickle.
        RunError: it cannot be read.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise UsageError(f"{folder} holds no VAE: there is no {CONFIG_NAME}", help=_FOLDER)
    try:
        found: object = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{folder / CONFIG_NAME} cannot be read: {error}", help="copy the VAE again") from error
    config = cast("dict[str, object]", found) if isinstance(found, dict) else {"_class_name": None}
    name = config.get("_class_name", CLASS_NAME)
    if name != CLASS_NAME:
        raise UsageError(f"{folder} is of a {name!s:.60}, not of an {CLASS_NAME}", help=_FOLDER)
    if next(folder.glob("*.safetensors"), None) is None:
        pickle = next((path.name for pattern in PICKLES for path in folder.glob(pattern)), None)
        if pickle is not None:
            raise UsageError(
                f"{folder} holds its weights as a pickle ({pickle}), which can run code: it is not read",
                help=f"take the VAE as safetensors, or have those who trust it write it so: {CLASS_NAME}"
                ".from_pretrained(FOLDER).save_pretrained(NEW)",
            )
        raise UsageError(f"{folder} holds no weights (.safetensors)", help=_FOLDER)
    return config
