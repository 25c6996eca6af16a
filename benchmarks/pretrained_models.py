"""Small models of the emoji, one of each kind that a brick can be, trained by what would train them elsewhere.

Runs of legoc by `legoc train`; a DiT as such a run whose weights are saved by DiT's names; diffusers' models and a
user's own module by a plain loop over DDPM's chain (Ho et al. 2020, Eq. 14).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import legoc_runtime
from legoc.__main__ import main
from legoc_runtime.contract.schedule import chain_levels
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.data import TrainingSet
from legoc_runtime.foreign.origins import origins
from legoc_runtime.layers.scaling import timestep_of
from legoc_runtime.layers.tables import position_table

CLASSES, BATCH, LABEL_DROPOUT = 9, 32, 0.1

Estimate = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The clean image's estimate of images [N, 3, 32, 32] at sigma [N] with labels [N], by the model's own code."""


@dataclass(frozen=True)
class Made:
    """A model: what the spec says of it, and what it computes where no stack is around it."""

    pretrained: str
    estimate: Estimate


STACK = """\
legoc: 1
name: {name}
grid: {{height: 32, width: 32, channels: 3}}
conditioning: {{classes: 9}}
diffusion: {diffusion}
compat: {{coordinates: {coordinates}}}
bricks: [{{id: {name}, size: image, receptive_field: 4, depth: 2, width: 64, heads: 4}}]
train: {{batch: 32, images: {images}, warmup_images: 320, ema: [0.98], optimizer: {{lr: 1e-3}}, held_out: 0.05}}
"""

OWN_CODE = '''\
"""A package of a user's own: a small convolutional network that predicts noise."""

import torch
from safetensors.torch import load_file
from torch import nn

from legoc_runtime.pretrained import PretrainedModel


class Convolutions(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.level = nn.Linear(1, width)
        self.label = nn.Embedding(10, width)
        sides = (3, width, width, width)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sides, sides[1:]))
        self.out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x, level, labels):
        condition = self.level(level[:, None] / 1000) + self.label(labels)
        for layer in self.layers:
            x = nn.functional.silu(layer(x) + condition[:, :, None, None])
        return self.out(x)


def opened(folder):
    network = Convolutions()
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    signal = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    return PretrainedModel(network, "epsilon", ((1 - signal) / signal).sqrt().tolist(), classes=9)
'''


def legoc(*arguments: str | Path) -> None:
    """A command, as typed."""
    print("$ legoc", *arguments, flush=True)
    code = main([str(argument) for argument in arguments])
    if code:
        sys.exit(code)


def stack(place: Path, data: Path, kept: TrainingSet, images: int) -> Made:
    """A run of legoc, under EDM."""
    run = _trained(place, data, images, "own", "edm", "row_column")
    return Made(f'kind: stack, path: "{run}"', legoc_runtime.load(run))


def dit(place: Path, data: Path, kept: TrainingSet, images: int) -> Made:
    """A DiT's `.pt`: DDPM, its variance learned, the average beside the raw weights."""
    run = _trained(place, data, images, "dit", "{kind: ddpm, variance: learned_range}", "none")
    stack = legoc_runtime.load(run)
    (brick,) = stack.shape.bricks
    named = {"pos_embed": position_table(*brick.tokens_down_and_across, brick.width)[None]}
    for key, origin in origins(stack.shape, "dit").items():
        weight = stack.store.weights[key].detach()
        named[origin.names[0]] = weight.unflatten(1, (3, 4, 4)) if origin.how == "flat" else weight
    torch.save({"model": {key: weight * 0 for key, weight in named.items()}, "ema": named}, place / "dit.pt")
    return Made(f'kind: dit, path: "{place / "dit.pt"}", heads: 4', lambda *x: stack(*x)[:, :3])


def diffusers_unet(place: Path, data: Path, kept: TrainingSet, images: int) -> Made:
    """A UNet2DModel with classes, whose last label is the null label."""
    import diffusers

    torch.manual_seed(0)
    model: Any = diffusers.UNet2DModel(
        sample_size=32,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        num_class_embeds=CLASSES + 1,
    )
    return _of_diffusers(place, "unet", model, kept, images)


def diffusers_dit(place: Path, data: Path, kept: TrainingSet, images: int) -> Made:
    """A DiTTransformer2DModel; it drops labels itself while it trains."""
    import diffusers

    torch.manual_seed(0)
    model: Any = diffusers.DiTTransformer2DModel(
        num_attention_heads=4,
        attention_head_dim=16,
        in_channels=3,
        out_channels=3,
        num_layers=2,
        sample_size=32,
        patch_size=4,
        num_embeds_ada_norm=CLASSES,
    )
    return _of_diffusers(place, "transformer", model, kept, images)


def module(place: Path, data: Path, kept: TrainingSet, images: int) -> Made:
    """A network of a user's own, in an installed package that opens it by an entry point."""
    site = place / "site"
    info = site / "own_convolutions-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "own_convolutions.py").write_text(OWN_CODE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-convolutions\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[legoc.pretrained]\nown_convolutions = own_convolutions:opened\n", "utf-8")
    sys.path.insert(0, str(site))
    import own_convolutions  # pyright: ignore[reportMissingImports] - written just now

    torch.manual_seed(0)
    network: nn.Module = own_convolutions.Convolutions()
    noise = _by_noise(network, network, kept, images)
    (place / "weights").mkdir()
    save_file(network.state_dict(), place / "weights/weights.safetensors")
    return Made(f'kind: module, name: own_convolutions, path: "{place / "weights"}"', noise)


KINDS = {f.__name__: f for f in (stack, dit, diffusers_unet, diffusers_dit, module)}


def _trained(place: Path, data: Path, images: int, name: str, diffusion: str, coordinates: str) -> Path:
    place.mkdir(parents=True)
    text = STACK.format(name=name, diffusion=diffusion, coordinates=coordinates, images=images)
    (place / f"{name}.yaml").write_text(text, encoding="utf-8")
    legoc("train", place / f"{name}.yaml", "--data", data, "-o", place / "run", "--backend", "eager", "-q")
    return place / "run"


def _of_diffusers(place: Path, part: str, model: Any, kept: TrainingSet, images: int) -> Made:
    import diffusers

    def called(x: Tensor, timestep: Tensor, labels: Tensor) -> Tensor:
        return model(x, timestep=timestep, class_labels=labels, return_dict=False)[0]

    noise = _by_noise(model, called, kept, images)
    model.save_pretrained(place / part)
    diffusers.DDPMScheduler().save_pretrained(place / "scheduler")
    return Made(f'kind: diffusers_{"unet" if part == "unet" else "dit"}, path: "{place}"', noise)


def _by_noise(network: nn.Module, called: Callable[..., Tensor], kept: TrainingSet, images: int) -> Estimate:
    """Train it to predict noise on the chain; the clean image's estimate that follows from its prediction."""
    levels = torch.tensor(chain_levels(DdpmConstants()), dtype=torch.float32)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.0)
    dice, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for start in range(0, images, BATCH):
        chosen = dice.integers(len(kept), size=BATCH).tolist()
        clean = torch.from_numpy(kept.clean(chosen, range(start, start + BATCH), 0, flip=True))
        labels = torch.tensor([kept.label(index) for index in chosen])
        labels[torch.rand(BATCH, generator=generator) < LABEL_DROPOUT] = CLASSES
        timestep = torch.randint(1000, (BATCH,), generator=generator)
        noise = torch.randn(clean.shape, generator=generator)
        sigma = levels[timestep][:, None, None, None]
        noisy = (clean + sigma * noise) * (1 + sigma**2).rsqrt()
        loss = (called(noisy, timestep.float(), labels) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()

    def estimate(x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        column = sigma[:, None, None, None]
        return x - column * called(x * (1 + column**2).rsqrt(), timestep_of(sigma, levels), labels)

    return estimate
