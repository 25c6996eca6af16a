"""Seams and repetition of pictures that `legoc sample` made, in numbers: what an eye should see, or not.

A seam is a step between neighbouring columns (or rows) that comes back at one distance. For every folder, the mean
absolute step in grey levels at multiples of each period, and elsewhere; then how far tiles of one picture are from each
other, and from tiles of the others (root mean square of pixels), where the pictures hold more than one.

    python benchmarks/canvas_steps.py FOLDER ... [--tile 32] [--periods 7,8]
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image


def pictures(folder: Path) -> list[np.ndarray]:
    """The pictures of a set of samples, float64 [height, width, 3] in grey levels, in the order of seeds."""
    entries = json.loads((folder / "samples.json").read_text(encoding="utf-8"))["pictures"]
    return [np.asarray(Image.open(folder / entry["file"]).convert("RGB"), np.float64) for entry in entries]


def steps(images: Sequence[np.ndarray], period: int, axis: int) -> tuple[float, float]:
    """Mean absolute steps along an axis, at multiples of a period and elsewhere; the outermost ones are left out."""
    found = np.stack([np.abs(np.diff(image, axis=axis)).mean(axis=(1 - axis, 2)) for image in images])[:, 1:-1]
    at = np.arange(2, found.shape[1] + 2) % period == 0
    return float(found[:, at].mean()), float(found[:, ~at].mean())


def tiles(image: np.ndarray, size: int) -> list[np.ndarray]:
    """The tiles of a picture, side by side from its first corner."""
    rows, columns = image.shape[0] // size, image.shape[1] // size
    return [image[y * size :, x * size :][:size, :size] for y in range(rows) for x in range(columns)]


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the difference of two tiles."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def main() -> None:
    """Print the numbers of every folder."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", type=Path, nargs="+")
    options.add_argument("--tile", type=int, default=32, help="size of the training grid (default: 32)")
    options.add_argument("--periods", default="7,8", help="distances at which steps are looked for (default: 7,8)")
    chosen = options.parse_args()
    for folder in chosen.folders:
        images = pictures(folder)
        print(f"{folder}: {len(images)} pictures of {images[0].shape[0]}x{images[0].shape[1]}")
        periods = [int(word) for word in chosen.periods.split(",")]
        for period, (axis, name) in itertools.product(periods, ((1, "columns"), (0, "rows"))):
            at, elsewhere = steps(images, period, axis)
            print(f"  steps across {name}: {at:.2f} at multiples of {period}, {elsewhere:.2f} elsewhere")
        cut = [tiles(image, chosen.tile) for image in images]
        if len(cut[0]) > 1 and len(cut) > 1:
            within = [apart(*pair) for own in cut for pair in itertools.combinations(own, 2)]
            across = [apart(a, b) for one, other in itertools.combinations(cut, 2) for a in one for b in other]
            print(f"  tiles of one picture: {mean(within):.1f} apart, the nearest two {min(within):.1f}")
            print(f"  tiles of different pictures: {mean(across):.1f} apart, the nearest two {min(across):.1f}")


if __name__ == "__main__":
    main()
