"""Small VAEs of diffusers' own classes, randomly initialised."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch


def write_vae(folder: Path, *, channels: int = 4, sample_size: int = 16, seed: int = 0, **config: Any) -> Any:
    """Write an AutoencoderKL whose latents have a fourth of the rows and columns, and give it."""
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
    made: Any = import_module("diffusers").AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 4, 4), norm_num_groups=2, latent_channels=channels, sample_size=sample_size,
        **{"scaling_factor": 0.7, "shift_factor": 0.1, **config},
    )  # fmt: skip
    made.save_pretrained(str(folder))
    return made.eval()
