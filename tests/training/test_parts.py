"""Averages, optimizer, metrics and settings, each against its formula."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.errors import UsageError
from legoc_runtime.training.ema import Ema
from legoc_runtime.training.metrics import NOISE_EDGES, NOISE_RANGES, Meter, Metrics, MetricsFile, noise_range
from legoc_runtime.training.optimizer import Optimizer, learning_rate
from legoc_runtime.training.progress import Lines
from legoc_runtime.training.settings import check_settings
from tests.stacks import random_store, stack

SETTINGS = TrainSettings(learning_rate=1e-2, warmup_images=100, weight_decay=0.1, clip_norm=0.5)


def test_average_follows_its_formula_at_every_rate() -> None:
    store = random_store(stack())
    ema = Ema(store, (0.999, 0.2))
    key = "bricks.parts.embed.weight"
    expected = dict.fromkeys(ema.averages, store.weights[key].detach().double().clone())
    for step in range(4):
        with store.updating(), torch.no_grad():
            store.weights[key].add_(1.0 + step)
        ema.update(step)
        for decay, average in expected.items():
            rate = min(decay, (1 + step) / (10 + step))
            expected[decay] = rate * average + (1 - rate) * store.weights[key].detach().double()
    for decay, average in expected.items():
        torch.testing.assert_close(ema.averages[decay][key].double(), average, rtol=1e-6, atol=1e-6)
    assert not torch.equal(ema.averages[0.999][key], ema.averages[0.2][key])


def test_optimizer_is_adamw_on_clipped_gradients_and_moves_the_stores_generation() -> None:
    store, twin = random_store(stack()), random_store(stack())
    plain = torch.optim.AdamW(twin.weights.values(), lr=0.0, weight_decay=0.1)
    optimizer = Optimizer(store, SETTINGS)
    generator = torch.Generator().manual_seed(0)
    for step in range(3):
        generation = store.generation
        for mine, other in zip(store.weights.values(), twin.weights.values(), strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        norm = optimizer.apply(torch.tensor(1.0), start=40 * step, images=40 * (step + 1))
        expected = torch.nn.utils.clip_grad_norm_(twin.weights.values(), 0.5)
        torch.testing.assert_close(norm, expected)
        plain.param_groups[0]["lr"] = (4e-3, 8e-3, 1e-2)[step]
        plain.step()  # pyright: ignore[reportUnknownMemberType]
        assert store.generation > generation
        assert all(weight.grad is None for weight in store.weights.values())
    for key, weight in store.weights.items():
        torch.testing.assert_close(weight, twin.weights[key], rtol=1e-5, atol=1e-6)


def test_warm_up_is_linear_in_images_and_may_be_absent() -> None:
    assert [learning_rate(images, SETTINGS) for images in (1, 50, 100, 1000)] == pytest.approx([1e-4, 5e-3, 1e-2, 1e-2])
    assert learning_rate(1, replace(SETTINGS, warmup_images=0)) == 1e-2


def test_the_rate_falls_as_scheduled_after_the_warm_up() -> None:
    cosine = replace(SETTINGS, schedule="cosine", images=300)
    rates = [learning_rate(images, cosine) for images in (50, 100, 150, 200, 300)]
    assert rates == pytest.approx([5e-3, 1e-2, 1e-2 * (0.5 + 0.25 * 2**0.5), 5e-3, 0.0])
    longer = replace(cosine, decay_images=500)
    assert learning_rate(300, longer) == pytest.approx(5e-3)
    root = replace(SETTINGS, schedule="inverse_sqrt", decay_images=200)
    rates = [learning_rate(images, root) for images in (50, 100, 200, 800)]
    assert rates == pytest.approx([5e-3, 1e-2, 1e-2, 5e-3])


def test_line_is_the_mean_over_images_by_brick_and_by_noise() -> None:
    meter = Meter(("a", "b"), torch.device("cpu"))
    sigma = torch.tensor([0.03, 0.031, 2.0])  # a range holds its upper border
    meter.add(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 60.0]]), sigma, torch.tensor(4.0))
    meter.add(torch.tensor([[5.0], [30.0]]), torch.tensor([2.5]), torch.tensor(6.0))
    line = partial(meter.line, images=4, step=2, trained=4, shares=torch.tensor([0.5, 0.5]), loss_scale=None)
    line = line(learning_rate=0.1, elapsed=2.0, seconds=9.0)
    assert line.loss_by_brick == {"a": 2.75, "b": 30.0}
    assert line.loss == 16.375
    assert line.loss_by_noise == {
        "sigma <= 0.03": 5.5,
        "0.03 < sigma <= 0.1": 11.0,
        "0.1 < sigma <= 0.3": None,
        "0.3 < sigma <= 1": None,
        "1 < sigma <= 3": (31.5 + 17.5) / 2,
        "sigma > 3": None,
    }
    assert (line.grad_norm, line.images_per_second) == (5.0, 2.0)


def test_steps_that_were_left_out_count_in_no_norm() -> None:
    meter = Meter(("a",), torch.device("cpu"))
    line = partial(meter.line, images=1, step=1, trained=1, shares=torch.ones(1), learning_rate=0.1, loss_scale=8.0)
    meter.add(torch.tensor([[1.0]]), torch.tensor([1.0]), torch.tensor(math.inf))
    assert line(elapsed=1.0, seconds=1.0).grad_norm is None
    meter.add(torch.tensor([[1.0]]), torch.tensor([1.0]), torch.tensor(3.0))
    assert line(elapsed=1.0, seconds=1.0).grad_norm == 3.0


def test_line_is_of_the_bricks_that_trained() -> None:
    """A brick that trained in one step of two has the mean of that one; one that never did has none."""
    meter = Meter(("a", "b", "c"), torch.device("cpu"))
    sigma = torch.tensor([0.2, 2.0])
    meter.add(torch.tensor([[1.0, 3.0], [5.0, 7.0]]), sigma, torch.tensor(1.0), torch.tensor([0, 1]))
    meter.add(torch.tensor([[9.0, 11.0]]), sigma, torch.tensor(1.0), torch.tensor([0]))
    shares = torch.tensor([0.25, 0.25, 0.5])
    line = meter.line(
        images=4, step=2, trained=4, shares=shares, learning_rate=0.1, loss_scale=None, elapsed=1.0, seconds=1.0
    )
    assert line.loss_by_brick == {"a": 6.0, "b": 6.0, "c": None}
    assert line.loss == 6.0
    assert line.loss_by_noise["1 < sigma <= 3"] == (7.0 + 7.0) / 2
    assert line.loss_by_noise["sigma > 3"] is None


def test_a_meter_takes_the_counts_of_versions_before() -> None:
    meter = Meter(("a", "b"), torch.device("cpu"))
    counts = torch.arange(len(NOISE_RANGES), dtype=torch.float64)
    meter.load({**meter.tensors(), "counts": counts})
    assert torch.equal(meter.counts, torch.stack([counts, counts]))


def test_ranges_named_to_people_are_those_counted() -> None:
    levels = [level for edge in NOISE_EDGES for level in (edge * 0.999, edge * 1.001)]
    counted = torch.bucketize(torch.tensor(levels), torch.tensor(NOISE_EDGES))
    assert [noise_range(level) for level in levels] == [NOISE_RANGES[i] for i in counted]


METRICS = Metrics(10, 1, 0.5, {"a": 0.5}, {}, 1e-4, 1.0, None, 100.0, 0.1)


def test_metrics_are_json_lines(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, keep_images=0)
    file.write(METRICS)
    with pytest.raises(ValueError, match="not JSON compliant"):
        file.write(replace(METRICS, loss=math.nan))
    file.close()
    assert [json.loads(line)["images"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [10]


def test_plain_progress_is_not_a_line_a_log_but_always_the_last() -> None:
    stream = io.StringIO()
    lines = Lines(stream, seconds=3600)
    lines.begin(images=0, total=30)
    for images in (10, 20, 30):
        lines.log(replace(METRICS, images=images))
    said = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in said] == ["10 of 30 images", "30 of 30 images"]
    assert said[0].endswith(" left")
    assert not said[1].endswith(" left")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"images": 0}, "images is 0"),
        ({"learning_rate": math.nan}, "learning rate is nan"),
        ({"learning_rate": -1.0}, "learning rate is -1"),
        ({"ema": (1.0,)}, r"ema rate is 1\.0"),
        ({"ema": (0.9, 0.9)}, "given twice"),
        ({"seed": -1}, "seed is -1"),
        ({"clip_norm": 0.0}, "clip_norm is 0"),
        ({"precision": "half"}, "precision is half, it must be one of float32, bf16, fp16"),
        ({"accumulate": 3}, "3 parts .* cannot share a batch of 128"),
        ({"accumulate": 0}, "0 parts"),
        ({"ema_profiles": (0.3,)}, "ema profile has the width 0.3"),
        ({"ema_profiles": (0.1, 0.1)}, "ema profile is given twice"),
        ({"decay_images": 7}, "decay_images does nothing"),
        ({"schedule": "inverse_sqrt"}, "decay_images is None"),
        ({"schedule": "cosine", "decay_images": 7}, "0 from image 7 on"),
        ({"schedule": "cosine", "warmup_images": 10**6}, "as long as the cosine"),
    ],
)
def test_settings_out_of_range_are_named(change: dict[str, object], named: str) -> None:
    check_settings(TrainSettings())
    with pytest.raises(UsageError, match=named):
        check_settings(replace(TrainSettings(), **change))
