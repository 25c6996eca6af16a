"""How a DDPM stack should hand on its estimates: short trainings on the emoji that differ in that alone.

The estimate x - sigma eps has sigma times the error of eps, and sigma is 157 at the last timestep. Rules: `none` hands
it on as it is (the paper's Eq. 6), `clip` within the data's range, `root` times sqrt(abar), `abar` times abar, which is
what programs do; `raw` hands on the predicted noise instead (`carry: raw`).

    python benchmarks/handing_on.py PG --rules none clip root abar raw
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, fx

from legoc.driver import compile_spec
from legoc.spec import check_text
from legoc_runtime.data import ImageDataset, open_dataset
from legoc_runtime.diffusion.objective import objective_of
from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.batch import BatchMaker
from legoc_runtime.training.metrics import NOISE_EDGES, NOISE_RANGES
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.trainer import Trainer

BATCH, HELD_OUT_SEED = 32, 777
BRICKS = {
    "a": "{id: a, size: 4, receptive_field: 2, depth: 2}",
    "b": "{id: b, size: 16, receptive_field: 4, depth: 2}",
    "c": "{id: c, size: image, receptive_field: 4, depth: 3}",
}
FORMS = {"PG": ("a", "b", "c"), "PR": ("c", "b", "a")}
SPEC = """\
legoc: 1
name: handing_on
grid: {{height: 32, width: 32, channels: 3}}
conditioning: {{classes: 9, label_dropout: 0.1}}
diffusion: ddpm
carry: {carry}
brick_defaults: {{width: 64, heads: 4}}
bricks: [{bricks}]
train: {{batch: 32, images: 100000, warmup_images: 2000, optimizer: {{name: adamw, lr: 1.0e-3}}, seed: {seed}}}
"""
RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "none": lambda estimate, signal: estimate,
    "clip": lambda estimate, signal: estimate.clamp(-1, 1),
    "root": lambda estimate, signal: estimate * signal.sqrt()[:, None, None, None],
    "abar": lambda estimate, signal: estimate * signal[:, None, None, None],
}
"""How an estimate is handed on, of the estimate [N, C, H, W] and abar [N]."""


def main() -> None:
    """Train under each rule, and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("--rules", nargs="+", choices=[*RULES, "raw"], default=[*RULES, "raw"])
    parser.add_argument("--steps", type=int, default=300, help=f"of {BATCH} images each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("examples/data/noto-emoji-32.zip"))
    given = parser.parse_args()
    data = open_dataset(given.data)
    for rule in given.rules:
        losses, by_noise = train(data, given.form, rule, given.steps, given.seed)
        line = {"form": given.form, "rule": rule, "images": BATCH * given.steps, "loss": losses, "top": by_noise}
        print(json.dumps(line), flush=True)


def train(data: ImageDataset, form: str, rule: str, steps: int, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """The noise's error by brick, bottom to top, and that of the top brick by range of sigma, after training."""
    text = SPEC.format(
        carry="raw" if rule == "raw" else "x0", bricks=", ".join(BRICKS[id] for id in FORMS[form]), seed=seed
    )
    spec = check_text(text, "handing_on.yaml").spec
    assert spec is not None
    manifest, _ = compile_spec(spec)
    store = WeightStore(manifest.shape)
    store.initialise(seed)
    stack = TrainingStack(manifest, store, backend=_Ruled(rule))
    trainer = Trainer(manifest, data, manifest.train, TrainState(store, manifest.train), stack)
    for step in range(steps):
        trainer.step(trainer.maker.make(step * BATCH, BATCH))
    return _held_out(data, stack)


class _Ruled:
    """The eager backend under a rule."""

    name = "eager"

    def __init__(self, rule: str) -> None:
        self._rule = RULES.get(rule)

    def available(self) -> str | None:
        """It always is."""
        return None

    def compile(self, module: fx.GraphModule, *, training: bool = False) -> Callable[..., object]:
        """The module with another function where estimates are handed on."""
        for node in module.graph.nodes:
            if self._rule is not None and node.name.endswith("_bounded"):
                node.target = self._rule
        module.recompile()
        return module


@torch.no_grad()
def _held_out(data: ImageDataset, stack: TrainingStack) -> tuple[dict[str, float], dict[str, float]]:
    """Over 512 images with noise and timesteps that training did not draw."""
    shape = stack.manifest.shape
    objective, maker = objective_of(shape.diffusion), BatchMaker(data, shape, HELD_OUT_SEED, 0.0, False)
    total, count = torch.zeros(len(shape.ids), len(NOISE_RANGES)), torch.zeros(len(NOISE_RANGES))
    for start in range(0, 512, 64):
        batch = maker.make(start, 64)
        ranges = torch.bucketize(batch.sigma, torch.tensor(NOISE_EDGES))
        made = stack(batch.noisy, batch.sigma, batch.labels, clean=batch.clean, windows={})
        for row, brick in zip(total, made, strict=True):
            row.index_add_(0, ranges, objective.loss(brick.estimate, batch.clean, batch.sigma, None, None))
        count += torch.bincount(ranges, minlength=len(count))
    mean, top = total.sum(dim=1) / count.sum(), total[-1] / count
    return (
        {id: round(float(value), 4) for id, value in zip(shape.ids, mean, strict=True)},
        {name: round(float(value), 4) for name, value in zip(NOISE_RANGES, top, strict=True)},
    )


if __name__ == "__main__":
    main()
