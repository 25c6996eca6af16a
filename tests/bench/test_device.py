"""What a device is asked: time, and the memory that one call takes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from legoc.bench.device import Unmeasured, clock_of, memory_of
from legoc.bench.measure import cold_caches

CPU = torch.device("cpu")


def test_the_clock_gives_seconds_of_one_call() -> None:
    calls: list[int] = []
    seconds = clock_of(CPU).seconds(lambda: calls.append(1), 50)
    assert len(calls) == 50
    assert 0 < seconds < 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a call took")
def test_a_call_that_takes_memory_and_gives_it_back_is_seen() -> None:
    memory = memory_of(CPU)
    small = memory.growth_bytes(lambda: torch.ones(1000).sum())
    large = memory.growth_bytes(lambda: torch.ones(25_000_000).sum())
    assert small is not None
    assert large is not None
    assert small < 10e6
    assert 90e6 < large < 130e6


def test_a_system_that_does_not_say_is_said_to() -> None:
    calls: list[int] = []
    memory = Unmeasured("there is no way")
    assert memory.growth_bytes(lambda: calls.append(1)) is None
    assert (len(calls), memory.how) == (1, "not measured: there is no way")


def test_compilers_start_cold_and_the_users_cache_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(tmp_path)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", own)
    with cold_caches(True):
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] != own
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == own
    with cold_caches(False):
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == own


@pytest.mark.gpu
def test_a_gpu_is_asked_by_its_own_events_and_allocator() -> None:
    cuda = torch.device("cuda")
    a = torch.randn(2048, 2048, device=cuda)
    assert clock_of(cuda).seconds(lambda: a @ a, 5) > 0
    growth = memory_of(cuda).growth_bytes(lambda: a @ a)
    assert growth is not None
    assert growth >= a.numel() * a.element_size()
