"""Images that are never trained on, and the loss on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from legoc_runtime.checkpoint.tensorfile import load
from legoc_runtime.data import ImageDataset
from legoc_runtime.data.split import split
from legoc_runtime.errors import UsageError
from tests.training.tiny import tiny_data, train_tiny


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "held_out.jsonl").read_text().splitlines()]


def test_held_out_images_are_never_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = tiny_data(tmp_path)
    _, held_out = split(data, 0.3)
    assert held_out is not None
    kept_back = {held_out.name(i) for i in range(len(held_out))}
    met: dict[bool, set[str]] = {True: set(), False: set()}
    clean = ImageDataset.clean

    def noting(
        self: ImageDataset, indices: Sequence[int], positions: Sequence[int], seed: int, *, flip: bool
    ) -> NDArray[np.float32]:
        met[seed == 0] |= {self.name(i) for i in indices}
        return clean(self, indices, positions, seed, flip=flip)

    monkeypatch.setattr(ImageDataset, "clean", noting)
    train_tiny(tmp_path / "run", dataset=data, held_out=0.3)
    assert met[True]
    assert not met[True] & kept_back
    assert met[False] == kept_back


def test_a_line_comes_with_every_checkpoint_and_at_the_end_and_a_run_that_stops_writes_the_same(tmp_path: Path):
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train_tiny(whole, held_out=0.3)
    assert [line["images"] for line in lines(whole)] == [20, 32]
    first = lines(whole)[0]
    assert first["examples"] == 256
    assert set(first["loss_by_brick"]) == {"small", "parts", "whole"}
    steps = iter(range(100))
    train_tiny(parted, held_out=0.3, stop=lambda: next(steps) >= 6)
    with (parted / "held_out.jsonl").open("a") as file:
        file.write('{"images": 28, "loss": 1}\n{"ima')
    train_tiny(parted, held_out=0.3)
    assert lines(parted) == lines(whole)


def test_a_run_that_is_made_longer_has_the_lines_of_one_that_was_as_long(tmp_path: Path):
    """The line at the end of the shorter one stays where it was due all the same."""
    for end, images in ((28, [20, 40]), (20, [20, 40])):
        run = tmp_path / str(end)
        train_tiny(run, held_out=0.3, images=end)
        assert [line["images"] for line in lines(run)] == sorted({20, end})
        train_tiny(run, held_out=0.3, images=40)
        assert [line["images"] for line in lines(run)] == images


def test_measuring_moves_nothing_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    finals: list[dict[str, Any]] = []
    for measured in (True, False):
        run = tmp_path / str(measured)
        if not measured:
            monkeypatch.setattr("legoc_runtime.training.loop.Session._measure", lambda self, held_out: None)
        train_tiny(run, held_out=0.3)
        finals.append(load(run / "checkpoints" / "000000000032" / "weights.safetensors"))
    assert all(weight.equal(finals[1][key]) for key, weight in finals[0].items())


def test_another_share_is_another_run(tmp_path: Path):
    train_tiny(tmp_path / "run", held_out=0.3, images=8)
    with pytest.raises(UsageError, match=r"train.held_out: 0.3 -> 0.5"):
        train_tiny(tmp_path / "run", held_out=0.5)


def test_the_share_is_checked(tmp_path: Path):
    with pytest.raises(UsageError, match="held_out is 1"):
        train_tiny(tmp_path / "run", held_out=1.0)
