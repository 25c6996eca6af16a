"""The share of the machine's own speed that a training reaches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from legoc.cli.train_speed import Speed, measure_speed
from legoc.cost.counts import training_macs
from tests.training.test_parts import METRICS
from tests.training.tiny import tiny_build


def test_the_share_is_of_all_processes_together():
    speed = Speed(flops_an_image=1e6, rate=1e8, processes=2, side=1024, type="float32")
    assert speed(replace(METRICS, images_per_second=50.0)).endswith("50 images/s, MFU 25%")
    assert "0 GFLOP/s, 2 times, timed now on 1024x1024 products in float32" in speed.said()


def test_measuring_counts_two_flops_a_mac_and_draws_no_random_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    manifest, _ = tiny_build()
    before = torch.get_rng_state()
    speed = measure_speed(manifest, manifest.train, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), before)
    assert speed.flops_an_image == 2 * training_macs(manifest.shape, manifest.train)
    assert speed.rate > 1e8
    assert speed.processes == 3
