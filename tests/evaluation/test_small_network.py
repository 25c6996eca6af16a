"""Extractors in folders: the one that is shipped, and those that are damaged."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from legoc_runtime.data import open_dataset
from legoc_runtime.errors import LegocError, UsageError
from legoc_runtime.evaluation import named
from legoc_runtime.evaluation.arrays import as_tensor
from legoc_runtime.evaluation.frechet import frechet_distance
from legoc_runtime.evaluation.moments import Moments, MomentsSum
from legoc_runtime.evaluation.named import open_extractor
from legoc_runtime.evaluation.small_network import SmallExtractor, load_small_extractor
from tests.evaluation.small_sets import pixels, tiny_extractor, write_extractor

EMOJI = Path(named.__file__).parent / "emoji"
DATA = Path(__file__).parents[2] / "examples" / "data" / "noto-emoji-32.zip"
CPU = torch.device("cpu")


def test_the_shipped_extractor_is_what_its_record_says():
    record = json.loads((EMOJI / "training.json").read_text())
    emoji = open_extractor("emoji", CPU)
    assert isinstance(emoji, SmallExtractor)
    assert sum(file.stat().st_size for file in EMOJI.iterdir()) < 2**20
    data = open_dataset(DATA)
    assert record["data_fingerprint"] == data.fingerprint
    held_out = range(0, len(data), 10)
    logits = emoji(as_tensor(data.images(held_out))).logits
    assert logits is not None
    right = (logits.argmax(1) == torch.tensor([data.label(i) for i in held_out])).double().mean()
    assert float(right) == pytest.approx(record["held_out_accuracy"], abs=0.01)
    assert record["held_out_accuracy"] > record["share_of_largest_class"] + 0.1


def test_the_shipped_extractor_sees_damage_grow():
    """Emoji lie nearer to other emoji than noisy ones do, and those nearer than noisier ones."""
    emoji = open_extractor("emoji", CPU)
    data = open_dataset(DATA)
    real, other = (data.images(range(first, len(data), 20)).astype(float) for first in (0, 10))
    noise = np.random.default_rng(0).normal(0, 1, real.shape)

    def moments(images: NDArray[np.float64]) -> Moments:
        gathered = MomentsSum(emoji.dimensions)
        gathered.add(emoji(as_tensor(images.clip(0, 255).astype(np.uint8))).pooled)
        return gathered.moments()

    reference = moments(other)
    distances = [frechet_distance(moments(real + level * noise), reference) for level in (0, 15, 30, 60)]
    assert all(1.3 * near < far for near, far in pairwise(distances)), distances


def test_its_card_says_what_its_record_says():
    record = json.loads((EMOJI / "training.json").read_text())
    card = (EMOJI / "README.md").read_text()
    assert f"{record['held_out_accuracy']:.1%}" in card
    assert f"{record['share_of_largest_class']:.1%}" in card
    for name, accuracy in record["held_out_accuracy_by_class"].items():
        assert f"| {name} | {accuracy:.0%} |" in card


def test_spatial_features_keep_their_place_channels_last(tmp_path: Path):
    tiny = tiny_extractor(tmp_path)
    images = as_tensor(pixels(3))
    found = tiny(images)
    assert (found.pooled.shape, found.logits is not None and found.logits.shape) == ((3, 4), (3, 3))
    x = images.float() / 127.5 - 1
    for i, convolution in enumerate(tiny.network.convolutions):
        x = torch.relu(convolution(torch.nn.functional.avg_pool2d(x, 2) if i == 2 else x))
    assert found.spatial is not None
    torch.testing.assert_close(found.spatial, x[:, :2].permute(0, 2, 3, 1).reshape(3, 4 * 4 * 2))


def test_pictures_of_other_sizes_are_resized(tmp_path: Path):
    tiny = tiny_extractor(tmp_path)
    plain = torch.full((1, 3, 8, 8), 77, dtype=torch.uint8)
    large = torch.full((1, 3, 24, 30), 77, dtype=torch.uint8)
    torch.testing.assert_close(tiny(plain).pooled, tiny(large).pooled, rtol=1e-5, atol=1e-5)


def damaged(directory: Path, **changes: Any) -> Path:
    file = write_extractor(directory) / "extractor.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return directory


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"extractor_version": 2}, "expected version 1"),
    "widths": ({"widths": [0, 4]}, "widths from 1"),
    "a width of text": ({"widths": ["6", 4]}, "no whole number"),
    "other weights": ({"widths": [6, 5]}, "does not hold the weights"),
    "stage": ({"spatial_stage": 2}, "no stage 2"),
    "channels": ({"spatial_channels": 5}, "5 spatial channels of 4"),
    "size": ({"size": 1}, "cannot be halved"),
    "one class": ({"classes": ["a"]}, "two classes"),
    "its name": ({"name": "inception"}, "belongs to torch-fidelity's network"),
    "a further key": ({"module": "os"}, "unknown keys module"),
    "no widths": ({"widths": None}, "describes no extractor"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_folder_that_describes_no_extractor(case: str, tmp_path: Path):
    changes, message = BAD[case]
    with pytest.raises(LegocError) as error:
        load_small_extractor(damaged(tmp_path, **changes), CPU)
    assert message in error.value.message


def test_damaged_weights_and_missing_files(tmp_path: Path):
    weights = write_extractor(tmp_path) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(LegocError, match=r"weights\.safetensors"):
        load_small_extractor(tmp_path, CPU)
    weights.unlink()
    with pytest.raises(UsageError, match=r"no extractor: it has no weights\.safetensors"):
        load_small_extractor(tmp_path, CPU)
    with pytest.raises(UsageError, match="there are no features `dino`"):
        open_extractor("dino", CPU)
