"""LEGO-PG, -PR and -U and a DiT, of one width and about the same parameters, trained on the emoji side by side.

Every backbone of `benchmarks/emoji_backbones/` trains for the same number of images by `legoc train` and is sampled
from the same seeds by `legoc sample`. Then the average of the weights runs on the images that were held out, all
windows of every brick, at noise that is the same for all, and the loss of its top brick, whose estimate samples come
from, is taken by noise level. Called again it goes on where it stopped.

    python benchmarks/emoji_backbones.py --out runs/backbones                  # hours on two cores
    python benchmarks/emoji_backbones.py --out runs/backbones --report-only    # of the checkpoints that are there

Leaves OUT/report.md, OUT/samples.png and what the commands write.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from legoc.cost.counts import macs, parameters, training_macs
from legoc_runtime.checkpoint import WeightsFile, find_weights
from legoc_runtime.contract.manifest import Manifest, read_manifest
from legoc_runtime.data import open_dataset
from legoc_runtime.data.split import SPLIT_SEED, split
from legoc_runtime.data.training_set import TrainingSet
from legoc_runtime.diffusion.objective import objective_of
from legoc_runtime.stack import load_bricks
from legoc_runtime.training.batch import BatchMaker
from legoc_runtime.training.metrics import NOISE_EDGES, NOISE_RANGES

HERE = Path(__file__).parent / "emoji_backbones"
BACKBONES = ("pg", "pr", "u", "dit")
EXAMPLES, AT_ONCE = 3840, 64
SEEDS = "0-15"
TITLE = 18


def legoc(*arguments: str | Path) -> None:
    """Run one command of legoc; stops when it fails."""
    code = subprocess.run([sys.executable, "-m", "legoc", *map(str, arguments)], check=False).returncode
    if code:
        sys.exit(code)


@torch.no_grad()
def held_out_loss(manifest: Manifest, weights: WeightsFile, data: TrainingSet) -> tuple[float, dict[str, float | None]]:
    """The loss of the top brick, and the same by range of sigma, on noise that depends on the set alone."""
    shape = manifest.shape
    stack = load_bricks(manifest, weights)
    objective = objective_of(shape.diffusion)
    maker = BatchMaker(data, shape, SPLIT_SEED, 0.0, flip=False)
    total, count = torch.zeros(len(NOISE_RANGES)), torch.zeros(len(NOISE_RANGES))
    for start in range(0, EXAMPLES, AT_ONCE):
        batch = maker.make(start, AT_ONCE)
        ranges = torch.bucketize(batch.sigma, torch.tensor(NOISE_EDGES))
        estimate = stack(batch.noisy, batch.sigma, batch.labels)
        total.index_add_(0, ranges, objective.loss(estimate, batch.clean, batch.sigma, None, None))
        count += torch.bincount(ranges, minlength=len(count))
    each = zip(NOISE_RANGES, total, count, strict=True)
    return float(total.sum() / count.sum()), {name: float(sum_ / n) if n else None for name, sum_, n in each}


def row(run: Path, data: TrainingSet) -> dict[str, Any]:
    """What a run is, took and came to."""
    manifest = read_manifest(run)
    weights = find_weights(run)
    last = json.loads((run / "metrics.jsonl").read_text("utf-8").splitlines()[-1])
    loss, by_noise = held_out_loss(manifest, weights, data)
    return {
        "name": manifest.name,
        "parameters": parameters(manifest.shape),
        "macs": macs(manifest.shape),
        "training_macs": training_macs(manifest.shape, manifest.train),
        "images": weights.images,
        "weights": weights.kind,
        "hours": last["seconds"] / 3600,
        "loss": loss,
        "by_noise": by_noise,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown, everything that was measured in it."""
    head = ["backbone", "parameters", "MACs", "training MACs an image", "images", "held-out loss", *NOISE_RANGES]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    for row in rows:
        noise = ["-" if value is None else f"{value:.4f}" for value in row["by_noise"].values()]
        sizes = [f"{row['parameters'] / 1e6:.2f} M", *(f"{row[key] / 1e6:.1f} M" for key in ("macs", "training_macs"))]
        lines.append(
            "| " + " | ".join([row["name"], *sizes, f"{row['images']:,}", f"{row['loss']:.4f}", *noise]) + " |"
        )
    return "\n".join(lines) + "\n"


def sheet(grids: dict[str, Path]) -> Image.Image:
    """The grids of samples beside each other."""
    pictures = {name: Image.open(path).convert("RGB") for name, path in grids.items()}
    scale = 2
    width, height = next(iter(pictures.values())).size
    page = Image.new("RGB", (len(pictures) * (width * scale + 24) + 24, height * scale + 76), "#ffffff")
    draw = ImageDraw.Draw(page)
    for i, (name, picture) in enumerate(pictures.items()):
        left = 24 + i * (width * scale + 24)
        draw.text((left, 18), name, "#1f2430", ImageFont.load_default(TITLE))
        page.paste(picture.resize((width * scale, height * scale), Image.Resampling.NEAREST), (left, 52))
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, sample, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/backbones"))
    parser.add_argument("--images", help="to train on (default: the specs')")
    parser.add_argument("--data", type=Path, default=Path("examples/data/noto-emoji-32.zip"))
    parser.add_argument("--report-only", action="store_true", help="do not train; of the runs that are there")
    given = parser.parse_args(arguments)
    out: Path = given.out
    runs = {name: out / name for name in BACKBONES}
    if not given.report_only:
        fewer = ["--images", given.images] if given.images else []
        for name, run in runs.items():
            legoc("train", HERE / f"{name}.yaml", "--data", given.data, "--out", run, *fewer)
    runs = {name: run for name, run in runs.items() if (run / "checkpoints").is_dir()}
    for run in runs.values():
        legoc("sample", run, "--seeds", SEEDS, "--out", run / "samples" / "report", "--overwrite", "-q")
    share = read_manifest(next(iter(runs.values()))).train.held_out
    _, data = split(open_dataset(given.data), share)
    assert data is not None, "the specs hold images out"
    rows = [row(run, data) for run in runs.values()]
    (out / "report.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(table(rows), encoding="utf-8")
    sheet({read_manifest(run).name: run / "samples" / "report" / "grid.png" for run in runs.values()}).save(
        out / "samples.png"
    )
    print(table(rows))


if __name__ == "__main__":
    main()
