"""Shards and latents with bytes changed, cut and put in: read, or refused in words, and nothing else."""

from __future__ import annotations

import random
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from legoc_runtime.data import open_dataset
from legoc_runtime.errors import RunError
from tests.data.latent_sets import write_latents
from tests.data.test_tar_shards import labelled, write_tar

ROUNDS = 200


def damaged(content: bytes, dice: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 8])):
        kind, at = dice.random(), dice.randrange(min(len(found), 3000))
        if kind < 0.7:
            found[at] = dice.randrange(256)
        elif kind < 0.85:
            found = found[: at + 1]
        else:
            found[at:at] = dice.randbytes(dice.randrange(600))
    return bytes(found)


def read(path: Path) -> str:
    try:
        data = open_dataset(path)
        data.clean(range(len(data)), range(len(data)), 0, flip=False)
    except RunError:
        return "refused"
    return "read"


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_damaged_shards(tmp_path: Path, format: int) -> None:
    members = labelled([0, 1, 2])
    members |= {f"{'d' * 150}.png": members["0000.png"], f"{'d' * 150}.cls": b"1"}
    path = write_tar(tmp_path / "x.tar", members, format)
    whole, dice = path.read_bytes(), random.Random(format)
    outcomes: Counter[str] = Counter()
    for _ in range(ROUNDS):
        path.write_bytes(damaged(whole, dice))
        outcomes[read(path)] += 1
    assert outcomes["refused"] > ROUNDS // 4


def test_damaged_latents(tmp_path: Path) -> None:
    folder = write_latents(tmp_path / "set", (2, 1), size=(1, 4, 4))
    whole, dice = {file: file.read_bytes() for file in folder.iterdir()}, random.Random(0)
    outcomes: Counter[str] = Counter()
    for _ in range(ROUNDS):
        for file, content in whole.items():
            file.write_bytes(content)
        file = dice.choice(sorted(whole))
        file.write_bytes(damaged(whole[file], dice))
        outcomes[read(folder)] += 1
    assert outcomes["refused"] > ROUNDS // 4
