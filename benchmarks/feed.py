"""What making a batch costs, by form of data: processor time an image, in turns, without a stack that trains on them.

    python benchmarks/feed.py

Everything about a batch is made as training makes it: order, reading, decoding, resizing, noise levels, noise, labels
and windows. One thread makes batches while a stack trains on the one before; reading and decoding use all cores.
Processor time is what does not depend on what else runs on the machine, but for its caches.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from legoc.spec import load_spec
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data import TrainingSet, open_dataset
from legoc_runtime.data import dataset as dataset_module
from legoc_runtime.data.latents_index import LATENTS_NAME, Encoded, Encoder, LatentsIndex, Shard
from legoc_runtime.training.batch import BatchMaker

ROOT = Path(__file__).parents[1]
BATCH = 64
ROUNDS = 9


def shape_of(name: str) -> StackShape:
    """The stack of a preset."""
    return load_spec(ROOT / "specs" / f"{name}.yaml").shape


def write_latents(folder: Path, images: int = 2048) -> Path:
    """Latents of 4x32x32 of noise: what they hold makes no difference to the time that it takes to read them."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    moments = {name: np.abs(rng.standard_normal((images, 4, 32, 32), np.float32)) for name in ("mean", "std")}
    save_file({**moments, "labels": np.arange(images, dtype=np.int64) % 1000}, folder / "latents-00000.safetensors")
    index = LatentsIndex(
        images=images, channels=4, height=32, width=32, dtype="float32", flipped=False, labelled=True,
        class_names=None, std=1.0, channel_mean=(0.0,) * 4, channel_std=(1.0,) * 4,
        encoder=Encoder("noise", "0" * 64, 1.0, 0.0), source=Encoded("noise", "0" * 64, 256, 256, "none"),
        shards=(Shard("latents-00000.safetensors", images, "0" * 64),),
    )  # fmt: skip
    (folder / LATENTS_NAME).write_text(index.to_json(), encoding="utf-8")
    return folder


def write_photographs(path: Path, images: int = 256) -> Path:
    """JPEG pictures of 500x375, ImageNet's usual size: emoji enlarged, under a little noise."""
    emoji = open_dataset(ROOT / "examples/data/noto-emoji-32.zip").spread(images)
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as file:
        for i, values in enumerate(emoji):
            small = Image.fromarray(((values.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8))
            large = np.asarray(small.resize((500, 375), Image.Resampling.BICUBIC), dtype=np.int16)
            noisy = np.clip(large + rng.integers(-12, 13, large.shape), 0, 255).astype(np.uint8)
            encoded = io.BytesIO()
            Image.fromarray(noisy).save(encoded, "JPEG", quality=90)
            file.writestr(f"{i:05d}.jpg", encoded.getvalue())
    return path


def opened(make: Callable[[], TrainingSet], *, keep: bool) -> TrainingSet:
    """A set whose pixels are decoded once and kept, or met again and again as of a set too large to keep."""
    data = make()
    before = dataset_module.MAX_DECODED_BYTES
    dataset_module.MAX_DECODED_BYTES = before if keep else 0
    data.clean([0], [0], 0, flip=False)
    dataset_module.MAX_DECODED_BYTES = before
    return data


def main() -> None:
    """Time every form in turns."""
    emoji = ROOT / "examples/data/noto-emoji-32.zip"
    with tempfile.TemporaryDirectory() as scratch:
        photographs = write_photographs(Path(scratch) / "photographs.zip")
        latents = write_latents(Path(scratch) / "latents")
        cases: dict[str, tuple[StackShape, TrainingSet]] = {
            "emoji 32x32, kept in memory": (shape_of("emoji_32"), opened(lambda: open_dataset(emoji), keep=True)),
            "emoji 32x32, PNG decoded every time": (
                shape_of("emoji_32"), opened(lambda: open_dataset(emoji), keep=False)
            ),
            "JPEG 500x375 to 64x64 by adm": (
                shape_of("lego_pg_s_64"),
                opened(lambda: open_dataset(photographs, resize="adm", size=(64, 64)), keep=False),
            ),
            "latents 4x32x32": (shape_of("lego_pg_xl"), open_dataset(latents)),
        }  # fmt: skip
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        for round in range(ROUNDS + 2):
            for name, (shape, data) in cases.items():
                shape = shape if data.labelled else replace(shape, classes=None)
                maker = BatchMaker(data, shape, 0, 0.1, flip=False)
                begin = time.process_time()
                maker.make(round * BATCH, BATCH)
                if round >= 2:
                    seconds[name].append((time.process_time() - begin) / BATCH)
        for name, taken in seconds.items():
            low, median, high = (1e3 * each for each in (min(taken), statistics.median(taken), max(taken)))
            rate = 1e3 / median
            print(f"{name:<38} {median:6.2f} ms an image ({low:.2f} to {high:.2f}), {rate:7,.0f} images/s a core")


if __name__ == "__main__":
    main()
