"""Several processes train as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from legoc_runtime.checkpoint import checkpoints
from legoc_runtime.checkpoint.tensorfile import load
from legoc_runtime.training.ranks import BUCKET_BYTES, Ranks, buckets, open_ranks
from tests.kill.same import differences, metrics

SCENARIOS = ("equal", "resumed", "combined", "died", "refused")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all scenarios of `processes.py` ran: in a process of their own, since it forks."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.training.processes", str(folder), *SCENARIOS]
    alone = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    ended = subprocess.run(command, capture_output=True, text=True, env=alone, timeout=600, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def codes(ran: Path, scenario: str) -> list[list[int]]:
    found: dict[str, Any] = json.loads((ran / f"{scenario}.json").read_text())
    return found["codes"]


def log(ran: Path, run: str, rank: int) -> str:
    return (ran / f"{run}.{rank}.log").read_text()


@pytest.mark.parametrize("run", ["two", "parts"])
def test_two_processes_are_one_by_rounding(ran: Path, run: str) -> None:
    assert codes(ran, "equal") == [[0], [0, 0], [0, 0]]
    for name in ("weights", "ema-0.9"):
        one, other = (load(checkpoints(ran / each)[-1] / f"{name}.safetensors") for each in ("one", run))
        for key, tensor in one.items():
            torch.testing.assert_close(other[key], tensor, rtol=0, atol=1e-6)
    losses = [[line["loss"] for line in metrics(ran / each)] for each in ("one", run)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert log(ran, run, 1) == "", "the first process speaks for all"


def test_one_of_two_processes_draws_samples(ran: Path) -> None:
    lines = [json.loads(line) for line in (ran / "two" / "previews.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["previews/000000000024.png", "previews/000000000048.png"]
    assert all((ran / "two" / line["file"]).is_file() for line in lines)


def test_three_processes_stop_together_and_continue_bit_by_bit(ran: Path) -> None:
    """The signal reached the second alone; metrics are the same too, from sums that each process keeps."""
    assert codes(ran, "resumed") == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0]]
    stopped, *later = log(ran, "broken", 0).split("training tiny into broken")[1:]
    assert "stopped at 24 images" in stopped
    assert "continuing from broken/checkpoints/000000000024" in later[0]
    one = ran / "straight"
    two = ran / "broken"
    left, right = checkpoints(one)[-1], two / "checkpoints" / checkpoints(one)[-1].name
    for name in ("weights", "ema-0.9", "optimizer"):
        mine, its = load(left / f"{name}.safetensors"), load(right / f"{name}.safetensors")
        assert mine.keys() == its.keys()
        assert all(torch.equal(mine[key], its[key]) for key in mine), name
    assert metrics(two)[: len(metrics(one)) - 1] == metrics(one)[:-1]


def test_two_processes_continue_bit_by_bit_in_bf16_through_stages_and_policies(ran: Path) -> None:
    assert codes(ran, "combined") == [[0, 0]] * 3, log(ran, "break", 0)
    assert differences(ran / "unbroken", ran / "break") is None
    final = [json.loads((ran / run / "held_out.jsonl").read_text().splitlines()[-1]) for run in ("unbroken", "break")]
    assert final[0] == final[1]


def test_another_number_of_processes_goes_on_and_says_that_it_is_not_exact(ran: Path) -> None:
    assert "not exact: 3 processes trained before, 1 do now" in log(ran, "broken", 0)
    assert checkpoints(ran / "broken")[-1].name == "000000000060"
    assert metrics(ran / "broken")[-1]["images"] == 60


def test_process_that_dies_ends_all_with_a_message_and_the_run_continues(ran: Path) -> None:
    assert codes(ran, "died") == [[3, -9], [0, 0]]
    assert "process 0 of 2 lost another one of the run" in log(ran, "killed", 0)
    assert "continuing from killed/checkpoints/000000000032" in log(ran, "killed", 0)
    assert differences(ran / "two", ran / "killed") is None


def test_what_processes_cannot_share_is_refused(ran: Path) -> None:
    uneven, other = codes(ran, "refused")
    assert uneven == [2, 2]
    assert "2 processes cannot share a batch of 5 evenly" in log(ran, "uneven", 0)
    assert other == [3, 2]
    assert "process 1 would train something else than the first" in log(ran, "other", 1)


def test_one_process_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with open_ranks("cpu") as ranks:
        assert (ranks.first, ranks.size, ranks.any(False), ranks.text("same")) == (True, 1, False, "same")
        tensor = torch.ones(3)
        ranks.average([tensor])
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("environment", [{"WORLD_SIZE": "2"}, {"WORLD_SIZE": "two"}, {"RANK": "1"}])
def test_half_a_place_is_refused(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from legoc_runtime.errors import UsageError

    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="no place among several processes"), open_ranks("cpu"):
        pass


def test_more_processes_than_gpus_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from legoc_runtime.errors import UsageError

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, value in {"WORLD_SIZE": "3", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="process 2 has no GPU of its own: there are 2 here"), open_ranks("auto"):
        pass


def test_buckets_follow_from_sizes_and_hold_everything_once() -> None:
    quarter = torch.empty(BUCKET_BYTES // 16)
    large, wide = torch.empty(BUCKET_BYTES), torch.empty(3, dtype=torch.float64)
    given = [quarter] * 5 + [large, quarter, wide, wide]
    found = buckets(given)
    assert [len(bucket) for bucket in found] == [4, 1, 1, 1, 2]
    assert all(one is other for one, other in zip((t for bucket in found for t in bucket), given, strict=True))
    assert Ranks(1, 2).first is False
