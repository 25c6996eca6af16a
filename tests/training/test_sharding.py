"""Processes that share weights, gradients, moments and averages train as those that hold them whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from legoc_runtime.checkpoint import checkpoints, verify
from legoc_runtime.checkpoint.layout import shards_of
from legoc_runtime.checkpoint.shards import read_optimizer
from legoc_runtime.checkpoint.tensorfile import headers, load, metadata
from tests.kill.same import differences, metrics
from tests.training.tiny import tiny_build, tiny_data, train_tiny


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all scenarios of `sharded.py` ran: in a process of their own, since it forks."""
    folder = tmp_path_factory.mktemp("sharded")
    command = [sys.executable, "-m", "tests.training.sharded", str(folder)]
    alone = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    ended = subprocess.run(command, capture_output=True, text=True, env=alone, timeout=900, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def codes(ran: Path, scenario: str) -> list[list[int]]:
    found: dict[str, Any] = json.loads((ran / "codes.json").read_text())
    return found[scenario]


def log(ran: Path, run: str, rank: int) -> str:
    return (ran / f"{run}.{rank}.log").read_text()


def assert_close(one: Path, other: Path) -> None:
    """Weights, averages and moments are those of the other run but for rounding, and so is every line of metrics."""
    left, right = checkpoints(one)[-1], checkpoints(other)[-1]
    assert left.name == right.name
    for path in left.glob("*.safetensors"):
        if path.name.startswith(("weights", "ema")):
            mine, its = load(path), load(right / path.name)
            assert mine.keys() == its.keys()
            torch.testing.assert_close(its, mine, rtol=0, atol=1e-6)
    mine, its = (read_optimizer(each, [path.name for path in each.iterdir()]) for each in (left, right))
    moments = {name for name in mine if name.startswith(("step/", "exp_avg"))}
    assert moments == {name for name in its if name.startswith(("step/", "exp_avg"))}
    for name in moments:
        torch.testing.assert_close(its[name], mine[name], rtol=1e-4, atol=1e-7)
    for a, b in zip(metrics(one), metrics(other), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-6)


def test_two_sharded_processes_are_one_by_rounding(ran: Path) -> None:
    assert codes(ran, "resharded")[:2] == [[0], [0, 0]], log(ran, "straight", 0)
    assert_close(ran / "one", ran / "straight")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_two_processes_saved_another_number_continues(ran: Path, size: int) -> None:
    assert codes(ran, "resharded")[2:] == [[0], [0, 0], [0, 0, 0]], log(ran, f"half-{size}", 0)
    assert_close(ran / "one", ran / f"half-{size}")
    last = checkpoints(ran / f"half-{size}")[-1]
    assert len(shards_of([path.name for path in last.iterdir()])) == (0 if size == 1 else size)
    said = log(ran, f"half-{size}", 0)
    assert (f"not exact: 2 processes trained before, {size} do now" in said) == (size != 2)
    assert ("there is one process" in said) == (size == 1)


def test_the_same_number_of_processes_continues_bit_by_bit(ran: Path) -> None:
    assert differences(ran / "straight", ran / "half-2") is None


def test_each_process_writes_its_own_half_of_the_moments_with_checksums_and_no_pickle(ran: Path) -> None:
    last = checkpoints(ran / "straight")[-1]
    state = verify(last)
    shards = shards_of(state["files"])
    assert shards == ("optimizer-1-of-2.safetensors", "optimizer-2-of-2.safetensors")
    assert {path.name for path in last.iterdir()} == {*state["files"], "state.json"}
    sizes = [sum(tensor.count for tensor in headers(last / name).values()) for name in shards]
    whole = sum(tensor.count for tensor in headers(last / "weights.safetensors").values())
    assert sum(sizes) == 2 * whole
    assert max(sizes) < 1.01 * whole
    assert metadata(last / shards[0])["legoc.spec_hash"] == state["spec_hash"]
    broken = bytearray((last / shards[1]).read_bytes())
    broken[-1] ^= 1
    (last / shards[1]).write_bytes(broken)
    from legoc_runtime.errors import RunError

    with pytest.raises(RunError, match=r"optimizer-2-of-2\.safetensors is damaged"):
        verify(last)
    broken[-1] ^= 1
    (last / shards[1]).write_bytes(broken)


def test_bf16_stages_policies_recomputation_and_held_out_images(ran: Path) -> None:
    assert codes(ran, "combined") == [[0, 0], [0, 0]], log(ran, "combined", 0)
    assert_close(ran / "plain", ran / "combined")
    final = [json.loads((ran / run / "held_out.jsonl").read_text().splitlines()[-1]) for run in ("plain", "combined")]
    assert final[1]["loss"] == pytest.approx(final[0]["loss"], rel=1e-6)


def test_previews_are_of_all_the_weights(ran: Path) -> None:
    one, other = (ran / run / "previews" / "000000000048.png" for run in ("one", "straight"))
    with Image.open(one) as mine, Image.open(other) as its:
        far = np.abs(np.asarray(mine, dtype=np.int64) - np.asarray(its, dtype=np.int64))
    assert far.max() <= 1


def test_process_that_dies_and_full_disk_lose_nothing(ran: Path) -> None:
    assert codes(ran, "struck") == [[3, -9], [3, 3], [0, 0]], log(ran, "struck", 0)
    said = log(ran, "struck", 0)
    assert "process 0 of 2 lost another one of the run" in said
    assert "checkpoint struck/checkpoints/000000000036 cannot be written: " in said
    assert "File too large" in said
    assert "the last checkpoint, struck/checkpoints/000000000024, is untouched" in said
    assert differences(ran / "straight", ran / "struck") is None


def test_numbers_that_are_none_end_all_and_the_first_says_where(ran: Path) -> None:
    assert codes(ran, "diverged") == [[3, 3]]
    assert "not finite" in log(ran, "diverged", 0)
    assert "the first process says where" in log(ran, "diverged", 1)


def test_one_process_continues_whole_what_was_never_sharded(tmp_path: Path) -> None:
    """The switch acts where there are several; alone it changes nothing."""
    build = tiny_build(sharding=("flip: true", "flip: true, sharding: fsdp2"))
    train_tiny(tmp_path / "switched", build, dataset=tiny_data(tmp_path))
    train_tiny(tmp_path / "plain", dataset=tiny_data(tmp_path))
    assert differences(tmp_path / "plain", tmp_path / "switched") is None
