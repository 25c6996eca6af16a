"""Models of the real diffusers, from its own folders, as the bottom brick: built, trained, sampled on the emoji."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import legoc_runtime
from legoc.__main__ import main
from legoc_runtime.checkpoint.tensorfile import load as load_tensors

EMOJI = Path(__file__).parents[2] / "examples/data/noto-emoji-32.zip"
TEXT = """\
legoc: 1
name: on
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: CLASSES}
diffusion: {kind: edm, sigma_min: 0.011, sigma_max: 80}
bricks:
  - {id: base, pretrained: {kind: KIND, path: model, frozen: FROZEN}}
  - {id: top, size: image, receptive_field: 8, depth: 1, width: 16, heads: 2}
skip_policies: {late: {base: "sigma > 1"}}
train: {images: 4, batch: 2, warmup_images: 0, ema: [0.9], optimizer: {lr: 1e-3}}
sample: {steps: 3, guidance: GUIDANCE}
"""

pytestmark = pytest.mark.peers


def saved(kind: str, prediction: str, classes: int | None) -> Any:
    """A model with random weights and its scheduler, saved by diffusers as in a pipeline's folder."""
    import diffusers

    torch.manual_seed(0)
    if kind == "diffusers_unet":
        made: Any = diffusers.UNet2DModel(
            sample_size=32,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            norm_num_groups=4,
            num_class_embeds=None if classes is None else classes + 1,
        )
        made.save_pretrained("model/unet")
    else:
        made = diffusers.DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=3,
            out_channels=6,
            num_layers=1,
            sample_size=32,
            patch_size=8,
            num_embeds_ada_norm=classes,
        )
        made.save_pretrained("model/transformer")
    diffusers.DDPMScheduler(prediction_type=prediction).save_pretrained("model/scheduler")
    return made.eval()


def run(*arguments: str) -> None:
    assert main([*arguments, *(["-q", "--backend", "eager"] if arguments[0] in ("train", "sample") else [])]) == 0


@pytest.mark.parametrize(
    ("kind", "prediction", "classes", "frozen"),
    [
        ("diffusers_unet", "epsilon", None, True),
        ("diffusers_unet", "v_prediction", None, False),
        ("diffusers_unet", "epsilon", 9, True),
        ("diffusers_dit", "epsilon", 9, False),
        ("diffusers_dit", "sample", 9, True),
    ],
)
def test_a_model_of_diffusers_is_a_brick(
    kind: str, prediction: str, classes: int | None, frozen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = saved(kind, prediction, classes)
    text = TEXT.replace("KIND", kind).replace("FROZEN", str(frozen).lower())
    text = text.replace("CLASSES", "null" if classes is None else "9").replace(
        "GUIDANCE", "1" if classes is None else "2"
    )
    Path("on.yaml").write_text(text, encoding="utf-8")
    run("build", "on.yaml")
    run("build", "--check", "build/on")
    run("train", "build/on", "--data", str(EMOJI))
    run("train", "build/on", "--data", str(EMOJI), "-o", "halves", "--images", "2")
    run("train", "halves", "--data", str(EMOJI), "--images", "4")
    for policy in ("none", "late"):
        run("sample", "runs/on", "--seeds", "0", "--skip-policy", policy)
    run("cost", "on.yaml")
    run("inspect", "runs/on")
    weights = load_tensors(next(Path("runs/on/checkpoints").iterdir()) / "weights.safetensors")
    resumed = load_tensors(Path("halves/checkpoints/000000000004/weights.safetensors"))
    assert all(torch.equal(weights[key], resumed[key]) for key in weights)
    ours = {key.removeprefix("pretrained.base."): w for key, w in weights.items() if key.startswith("pretrained.base.")}
    named = dict(model.named_parameters())
    assert ours.keys() == (set() if frozen else named.keys())
    assert frozen or any(not torch.equal(ours[name], named[name]) for name in named)
    if frozen:
        check_estimate(model, prediction, classes)


def check_estimate(model: Any, prediction: str, classes: int | None) -> None:
    """The brick alone against the model called by hand, at two of its own timesteps."""
    signal = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    timesteps = torch.tensor([20, 700])
    abar = signal[timesteps]
    sigma, x = ((1 - abar) / abar).sqrt().float(), torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    x = x * (1 + sigma[:, None, None, None] ** 2).sqrt()
    labels = None if classes is None else torch.tensor([3, 9])
    stack = legoc_runtime.load("runs/on")
    column = abar.float()[:, None, None, None]
    with torch.inference_mode():
        found = stack(x, sigma, labels, configuration=("base",))
        (told,) = model(x * column.sqrt(), timestep=timesteps, class_labels=labels, return_dict=False)
    told = told[:, :3]
    expected = told if prediction == "sample" else x - sigma[:, None, None, None] * told
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * math.sqrt(float(sigma.max())))
