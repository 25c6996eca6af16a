"""Which stand-in for a missing estimate trains best: the same stack, images and windows, four values of `fill`.

Each is trained on nine tenths of the emoji, on a share of the windows of its patch-bricks, for the same number of
images from the same weights. Then every brick runs all its windows on the tenth that was held out, at noise and levels
that are the same for all, and the loss of each brick is taken: what a stand-in taught it shows where none stands.

    python benchmarks/fills.py PG --images 200k --seeds 0 1 2
    python benchmarks/fills.py PR --images 200k --seeds 0 1 2 --share 0.75 --patches nested

A line of JSON for each training. Fills differ by less than seeds do until they are seen to differ by more.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from legoc.cost import training_macs
from legoc.driver import compile_spec
from legoc.spec import check_text
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.data import ImageDataset, open_dataset
from legoc_runtime.diffusion.objective import objective_of
from legoc_runtime.stack import TrainingStack
from legoc_runtime.store import WeightStore
from legoc_runtime.training.batch import BatchMaker
from legoc_runtime.training.metrics import NOISE_EDGES, NOISE_RANGES
from legoc_runtime.training.state import TrainState
from legoc_runtime.training.trainer import Trainer

FILLS = ("noisy", "x0", "zeros", "model")
HELD_OUT, HELD_OUT_SEED = 10, 777
"""Every so many images one is held out; and the seed of its noise, flips and levels."""

BRICKS = {
    "windows": "{id: windows, size: 4, receptive_field: 2, depth: 2}",
    "parts": "{id: parts, size: 16, receptive_field: 4, depth: 2}",
    "image": "{id: image, size: image, receptive_field: 4, depth: 3}",
}
FORMS = {"PG": ("windows", "parts", "image"), "PR": ("image", "parts", "windows")}
SPEC = """\
legoc: 1
name: fills
grid: {{height: 32, width: 32, channels: 3}}
conditioning: {{classes: 9, label_dropout: 0.1}}
carry: {carry}
brick_defaults: {{width: {width}, heads: 4, train_patches: {share}}}
bricks: [{bricks}]
train:
  batch: {batch}
  images: {images}
  warmup_images: {warmup}
  optimizer: {{lr: 1.0e-3}}
  fill: {fill}
  patches: {patches}
  seed: {seed}
"""


class Part:
    """Some images of a set, in place of it: what a `BatchMaker` asks of one."""

    def __init__(self, whole: ImageDataset, indices: Sequence[int]) -> None:
        self._whole = whole
        self._indices = tuple(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def label(self, index: int) -> int | None:
        """The class of an image."""
        return self._whole.label(self._indices[index])

    def clean(self, indices: Sequence[int], positions: Sequence[int], seed: int, *, flip: bool) -> NDArray[np.float32]:
        """Images in [-1, 1], [N, C, H, W]."""
        return self._whole.clean([self._indices[index] for index in indices], positions, seed, flip=flip)


def part(data: ImageDataset, *, held_out: bool) -> ImageDataset:
    """The images that are held out, or the others."""
    indices = [i for i in range(len(data)) if (i % HELD_OUT == 0) is held_out]
    return cast("ImageDataset", Part(data, indices))


def build(given: argparse.Namespace, fill: str, seed: int, share: float) -> Manifest:
    """The stack under a fill, training on a share of the windows of its patch-bricks."""
    bricks = ", ".join(BRICKS[id] for id in FORMS[given.form])
    text = SPEC.format(
        carry=given.carry,
        width=given.width,
        share=share,
        bricks=bricks,
        batch=given.batch,
        images=given.images,
        warmup=given.images // 20,
        fill=fill,
        patches=given.patches,
        seed=seed,
    )
    spec = check_text(text, "fills.yaml").spec
    assert spec is not None
    return compile_spec(spec)[0]


def train(given: argparse.Namespace, data: ImageDataset, fill: str, seed: int) -> dict[str, object]:
    """Train under a fill; the losses of all bricks, run in full on the images that were held out."""
    manifest, begun = build(given, fill, seed, given.share), time.perf_counter()
    store = WeightStore(manifest.shape)
    store.initialise(seed)
    stack = TrainingStack(manifest, store)
    trainer = Trainer(manifest, part(data, held_out=False), manifest.train, TrainState(store, manifest.train), stack)
    for start in range(0, given.images, given.batch):
        trainer.step(trainer.maker.make(start, given.batch))
    trainer.check_finite()
    seconds = time.perf_counter() - begun
    losses, by_noise = measure(build(given, fill, seed, 1.0), store, part(data, held_out=True), given.held_out)
    return {
        "form": given.form,
        "carry": given.carry,
        "share": given.share,
        "patches": given.patches,
        "fill": fill,
        "seed": seed,
        "images": given.images,
        "training_macs": training_macs(manifest.shape, manifest.train),
        "loss": losses,
        "top_by_noise": by_noise,
        "seconds": round(seconds, 1),
    }


@torch.no_grad()
def measure(
    manifest: Manifest, trained: WeightStore, data: ImageDataset, images: int
) -> tuple[dict[str, float], dict[str, float | None]]:
    """The loss by brick, bottom to top, and that of the top brick by range of sigma; every brick runs in full."""
    shape = manifest.shape
    store = WeightStore(shape)
    store.load({key: weight.detach() for key, weight in trained.weights.items()})
    stack, objective = TrainingStack(manifest, store), objective_of(shape.diffusion)
    maker = BatchMaker(data, shape, HELD_OUT_SEED, 0.0, flip=False)
    total, count = torch.zeros(len(shape.ids), len(NOISE_RANGES)), torch.zeros(len(NOISE_RANGES))
    for start in range(0, images, 64):
        batch = maker.make(start, min(64, images - start))
        ranges = torch.bucketize(batch.sigma, torch.tensor(NOISE_EDGES))
        made = stack(batch.noisy, batch.sigma, batch.labels, clean=batch.clean, windows={})
        for row, brick in zip(total, made, strict=True):
            row.index_add_(0, ranges, objective.loss(brick.estimate, batch.clean, batch.sigma, None, None))
        count += torch.bincount(ranges, minlength=len(count))
    mean = total.sum(dim=1) / count.sum()
    tops = zip(NOISE_RANGES, total[-1], count, strict=True)
    return (
        {id: round(float(value), 4) for id, value in zip(shape.ids, mean, strict=True)},
        {name: round(float(loss / seen), 4) if seen else None for name, loss, seen in tops},
    )


def number(text: str) -> int:
    """`200k` as 200000."""
    return int(float(text[:-1]) * 1000) if text.endswith("k") else int(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train under each fill and seed, in turns, and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("--fills", nargs="+", choices=FILLS, default=FILLS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--images", type=number, default=50_000, help="to train on, e.g. 200k")
    parser.add_argument("--held-out", type=int, default=2048, help="images, noise drawn anew, to measure on")
    parser.add_argument("--share", type=float, default=0.5, help="of its windows that a patch-brick trains on")
    parser.add_argument("--patches", choices=("independent", "nested"), default="independent")
    parser.add_argument("--carry", choices=("x0", "raw"), default="x0")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--data", type=Path, default=Path("examples/data/noto-emoji-32.zip"))
    given = parser.parse_args(arguments)
    data = open_dataset(given.data)
    for seed in given.seeds:
        for fill in given.fills:
            print(json.dumps(train(given, data, fill, seed)), flush=True)


if __name__ == "__main__":
    main()
