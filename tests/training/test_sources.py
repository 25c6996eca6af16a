"""Stopping and continuing is exact from every form of data, and ranks that share a step see what one process sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

from legoc_runtime.data import TrainingSet, open_dataset
from legoc_runtime.training.batch import BatchMaker
from tests.data.latent_sets import write_latents
from tests.data.test_hugging_face import images, library, saved
from tests.data.test_tar_shards import labelled, write_tar
from tests.image_sets import encoded, labelled_zip, picture
from tests.training.tiny import tiny_build, train_tiny


def folder(path: Path) -> TrainingSet:
    for i in range(10):
        (path / "abc"[i % 3]).mkdir(parents=True, exist_ok=True)
        (path / "abc"[i % 3] / f"{i}.png").write_bytes(encoded(picture(i, (20 + i, 31))))
    return open_dataset(path, resize="adm", size=(8, 8))


def shards(path: Path) -> TrainingSet:
    for number, held in enumerate([range(6), range(6, 10)]):
        write_tar(path / f"{number}.tar", labelled([*held]))
    return open_dataset(path)


SOURCES: dict[str, Callable[[Path], TrainingSet]] = {
    "zip": lambda path: open_dataset(labelled_zip(path.with_suffix(".zip"))),
    "folder, resized": folder,
    "shards": shards,
    "latents": lambda path: open_dataset(write_latents(path)),
}


def saved_set(path: Path) -> TrainingSet:
    rows = [0, 1, 2] * 3 + [0]
    return open_dataset(saved(path, image=images(10), label=(rows, library().Value("int64"))))


SAVED = pytest.param("datasets", marks=pytest.mark.datasets)
SOURCES["datasets"] = saved_set
FORMS = [SAVED if name == "datasets" else name for name in SOURCES]


@pytest.mark.parametrize("source", FORMS[1:])
def test_stopping_and_continuing_equals_never_stopping(tmp_path: Path, source: str) -> None:
    dataset = SOURCES[source](tmp_path / "set")
    straight = train_tiny(tmp_path / "straight", dataset=dataset, images=24)
    train_tiny(tmp_path / "parts", dataset=dataset, images=12)
    again = SOURCES[source](tmp_path / "again")
    continued = train_tiny(tmp_path / "parts", dataset=again, images=24)
    assert straight.checkpoint is not None
    assert continued.checkpoint is not None
    for name in ("weights", "ema-0.9", "optimizer"):
        one, other = (load_file(run / f"{name}.safetensors") for run in (straight.checkpoint, continued.checkpoint))
        assert one.keys() == other.keys()
        assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("ranks", [2, 3, 6])
def test_ranks_that_share_a_step_see_what_one_process_sees(tmp_path: Path, source: str, ranks: int) -> None:
    maker = BatchMaker(SOURCES[source](tmp_path / "set"), tiny_build()[0].shape, seed=3, label_dropout=0.3, flip=True)
    for start in (0, 6, 12):  # past the end of an epoch of ten
        whole = maker.make(start, 6)
        parts = [maker.make(start, 6 // ranks, skip=rank * (6 // ranks)) for rank in range(ranks)]
        assert torch.equal(torch.cat([part.noisy for part in parts]), whole.noisy)
        assert torch.equal(torch.cat([part.clean for part in parts]), whole.clean)
        labels = [part.labels for part in parts if part.labels is not None]
        assert whole.labels is not None
        assert torch.equal(torch.cat(labels), whole.labels)
