from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from legoc_runtime.data import dataset as dataset_module
from legoc_runtime.training.batch import Batch, BatchMaker
from tests.training.tiny import tiny_build, tiny_data


@pytest.fixture
def maker(tmp_path: Path) -> BatchMaker:
    return BatchMaker(tiny_data(tmp_path), tiny_build()[0].shape, seed=3, label_dropout=0.3, flip=True)


def rows(batches: list[Batch]) -> dict[str, torch.Tensor]:
    labels = [batch.labels for batch in batches if batch.labels is not None]
    fields = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in ("clean", "noisy", "sigma")}
    windows = {id: torch.cat([batch.windows[id] for batch in batches]) for id in batches[0].windows}
    return {**fields, "labels": torch.cat(labels), **windows}


@pytest.mark.parametrize("size", [1, 7])
def test_a_position_gives_the_same_row_in_batches_of_any_size(maker: BatchMaker, size: int) -> None:
    one = rows([maker.make(5, 64)])
    parts = rows([maker.make(start, min(size, 69 - start)) for start in range(5, 69, size)])
    assert one.keys() == parts.keys() >= {"clean", "noisy", "sigma", "labels", "small", "parts"}
    for name, value in one.items():
        assert torch.equal(value, parts[name]), name


def test_lazily_decoded_sets_give_the_same_batches(
    maker: BatchMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = rows([maker.make(0, 12)])
    monkeypatch.setattr(dataset_module, "MAX_DECODED_BYTES", 0)
    met = rows([replace(maker, dataset=tiny_data(tmp_path)).make(0, 12)])
    assert all(torch.equal(kept[name], met[name]) for name in kept)


def test_shares_of_drops_flips_and_windows_are_the_specs(maker: BatchMaker) -> None:
    batch = maker.make(0, 600)
    straight = replace(maker, flip=False).make(0, 600)
    assert batch.labels is not None
    assert 0.24 < (batch.labels == 3).float().mean() < 0.36
    flipped = (batch.clean != straight.clean).flatten(1).any(1)
    assert 0.43 < flipped.float().mean() < 0.57
    assert torch.equal(batch.clean[flipped], straight.clean[flipped].flip(-1))
    for id, windows in (("small", 16), ("parts", 4)):
        index = batch.windows[id]
        assert index.shape == (600, windows // 2)
        assert (index.diff(dim=1) > 0).all()
        counts = torch.bincount(index.flatten(), minlength=windows)
        assert len(counts) == windows
        assert counts.min() > 240
        assert counts.max() < 360
    assert "whole" not in batch.windows


def test_noise_is_standard_normal_times_sigma_and_independent_of_it(maker: BatchMaker) -> None:
    batch = maker.make(0, 400)
    noise = (batch.noisy - batch.clean) / batch.sigma[:, None, None, None]
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    log_sigma = batch.sigma.log()
    assert abs(log_sigma.mean() + 1.2) < 0.2
    assert abs(log_sigma.std() - 1.2) < 0.15
    assert batch.clean.min() == -1.0
    assert batch.clean.max() == 1.0


def test_seeds_and_positions_draw_different_numbers(maker: BatchMaker) -> None:
    one, other = maker.make(0, 2), replace(maker, seed=4).make(0, 2)
    assert not torch.equal(one.noisy - one.clean, other.noisy - other.clean)
    assert one.sigma[0] != one.sigma[1] != other.sigma[1]


def test_unconditional_stacks_get_no_labels(maker: BatchMaker) -> None:
    assert replace(maker, shape=replace(maker.shape, classes=None)).make(0, 2).labels is None
