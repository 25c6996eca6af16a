"""Every kind of pretrained brick through the real commands, on the emoji: where it starts, what two bricks above add.

For each kind a small model is trained (`pretrained_models.py`). A stack with it as its frozen bottom brick and two
small bricks above is built, trained, resumed half way, and sampled under a policy that leaves the model out at low
noise, which training was told of (`drop`), and under one that runs nothing else. On the images that no training saw, at
noise that is the same for all, the loss is taken of the model by its own code, of the brick, and of the whole stack;
and of the two bricks trained by themselves.

    PYTHONPATH=DIFFUSERS python benchmarks/pretrained_kinds.py --out pretrained-kinds

A table in Markdown at the end. Without diffusers name the other kinds: `--kinds stack dit module`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from pretrained_models import KINDS, Estimate, legoc
from torch import Tensor

import legoc_runtime
from legoc_runtime.contract.stack import EdmConstants
from legoc_runtime.data import TrainingSet, open_dataset
from legoc_runtime.data.split import split

NONE = "none"
"""Instead of a kind: the two bricks by themselves, trained on as many images."""

HELD_OUT, LEAST_SIGMA = 0.05, 0.011
SPEC = """\
legoc: 1
name: on_{kind}
grid: {{height: 32, width: 32, channels: 3}}
conditioning: {{classes: 9, label_dropout: 0.1}}
diffusion: {{kind: edm, sigma_min: 0.011}}
bricks:
  - {{id: base, pretrained: {{{pretrained}}}}}
  - {{id: parts, size: 8, receptive_field: 2, depth: 1, width: 48, heads: 4}}
  - {{id: top, size: image, receptive_field: 4, depth: 2, width: 64, heads: 4}}
skip_policies:
  without: {{base: "sigma < 0.1"}}
  alone: {{parts: "sigma > 0", top: "sigma > 0"}}
train:
  images: {images}
  batch: 32
  warmup_images: 320
  ema: [0.98]
  optimizer: {{lr: 1e-3}}
  held_out: 0.05
  drop: {{policy: without}}
sample: {{steps: 12, guidance: 1.5}}
"""


def main() -> None:
    """All kinds, one after another."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="where everything goes; must not be there")
    options.add_argument("--data", type=Path, default=Path("examples/data/noto-emoji-32.zip"))
    options.add_argument("--model-images", type=int, default=4800, help="images that each model is trained on")
    options.add_argument("--images", type=int, default=9600, help="images that the bricks above are trained on")
    options.add_argument("--kinds", nargs="+", default=[*KINDS, NONE], choices=[*KINDS, NONE])
    given = options.parse_args()
    given.out.mkdir(parents=True)
    torch.set_num_threads(1)
    kept, held_out = split(open_dataset(given.data), HELD_OUT)
    assert held_out is not None
    rows = [control(given, held_out) if kind == NONE else row(kind, given, kept, held_out) for kind in given.kinds]
    print(f"\n{len(held_out)} images held out\n\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    print("\n".join(rows))


HEAD = (
    "kind",
    "weights",
    "loss of the model itself",
    "of the brick alone",
    "largest difference of an estimate",
    "of the stack, half way",
    "of the stack",
    "the model ran under `without`",
    "under `alone`",
    "seconds",
)


def row(kind: str, given: argparse.Namespace, kept: TrainingSet, held_out: TrainingSet) -> str:
    """One kind from the model to pictures; its line of the table."""
    begun, place = time.perf_counter(), given.out / kind
    place.mkdir()
    made = KINDS[kind](place / "model", given.data, kept, given.model_images)
    spec, build, run = place / f"on_{kind}.yaml", place / "build", place / "run"
    spec.write_text(SPEC.format(kind=kind, pretrained=made.pretrained, images=given.images), encoding="utf-8")
    legoc("build", spec, "-o", build, "--policy", "without", "--policy", "alone")
    how = ["--data", given.data, "--backend", "eager", "-q"]
    legoc("train", build, "-o", run, "--images", str(given.images // 2), *how)
    legoc("train", run, "--images", str(given.images), *how)  # goes on where that ended
    traces: list[str] = []
    for policy in ("without", "alone"):
        legoc(
            "sample", run, "--seeds", "0-7", "--skip-policy", policy, "-o", place / policy, "--backend", "eager", "-q"
        )
        traces.append(ran(place / policy))
    stack = legoc_runtime.load(run)
    batch = noised(held_out)
    alone = by(lambda *x: stack(*x, configuration=("base",)), batch)
    own, whole = by(made.estimate, batch), by(stack, batch)
    half = by(legoc_runtime.load(run / "checkpoints" / f"{given.images // 2:012d}"), batch)
    assert stack.shape.pretrained is not None
    weights = sum(torch.Size(shape).numel() for _, shape in stack.shape.pretrained.weights)
    losses = [f"{loss(found, batch):.4f}" for found in (own, alone, half, whole)]
    losses.insert(2, f"{(own - alone).abs().max():.1e}")
    values = (kind, f"{weights:,}", *losses, *traces, f"{time.perf_counter() - begun:.0f}")
    return f"| {' | '.join(values)} |"


def ran(samples: Path) -> str:
    """At how many noise levels the model ran, by what samples say of the policy and by the trace of the calls."""
    told = json.loads((samples / "samples.json").read_text(encoding="utf-8"))
    levels, rested = told["policy"]["levels"], told["policy"]["skipped"]["base"]
    called = sum(count for _, count, name in told["trace"]["runs"] if "base" in name.split("+"))
    calls = sum(count for _, count, _ in told["trace"]["runs"])
    return f"{levels - rested} of {levels} levels, {called} of {calls} calls"


def control(given: argparse.Namespace, held_out: TrainingSet) -> str:
    """The bricks without a model below them; its line of the table."""
    begun, place = time.perf_counter(), given.out / NONE
    place.mkdir()
    text = SPEC.format(kind=NONE, pretrained="", images=given.images)
    kept = [
        line for line in text.splitlines() if not any(word in line for word in ("base", "alone", "policies", "drop:"))
    ]
    spec, run = place / "on_none.yaml", place / "run"
    spec.write_text("\n".join(kept) + "\n", encoding="utf-8")
    legoc("train", spec, "-o", run, "--data", given.data, "--backend", "eager", "-q")
    batch = noised(held_out)
    found = f"{loss(by(legoc_runtime.load(run), batch), batch):.4f}"
    return f"| {NONE} | | | | | | {found} | | | {time.perf_counter() - begun:.0f} |"


Batch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Clean images [N, 3, 32, 32], noised ones, sigma [N] and labels [N]."""


def noised(data: TrainingSet) -> Batch:
    """The images that were held out, at levels and noise that are the same for all (EDM's distribution)."""
    edm, generator = EdmConstants(), torch.Generator().manual_seed(777)
    clean = torch.from_numpy(data.clean(range(len(data)), range(len(data)), 0, flip=False))
    sigma = (torch.randn(len(data), generator=generator) * edm.p_std + edm.p_mean).exp().clamp(min=LEAST_SIGMA)
    noise = torch.randn(clean.shape, generator=generator)
    labels = torch.tensor([data.label(index) for index in range(len(data))])
    return clean, clean + sigma[:, None, None, None] * noise, sigma, labels


@torch.inference_mode()
def by(estimate: Estimate, batch: Batch) -> Tensor:
    """The estimates of a batch."""
    _, noisy, sigma, labels = batch
    return estimate(noisy, sigma, labels)


def loss(estimate: Tensor, batch: Batch) -> float:
    """The mean error of the clean image, weighted as EDM does (Karras et al. 2022, Table 1)."""
    clean, _, sigma, _ = batch
    data = EdmConstants().sigma_data
    weight = (sigma**2 + data**2) / (sigma * data) ** 2
    return float((weight * (estimate - clean).square().mean((1, 2, 3))).mean())


if __name__ == "__main__":
    main()
