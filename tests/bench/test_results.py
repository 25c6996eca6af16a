"""Figures, worked out by hand from made-up samples."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from legoc.bench.products import SQUARE
from legoc.bench.record import plot, record
from legoc.bench.results import BENCH_VERSION, compile_seconds
from tests.bench.made_up import PRODUCTS, bench, timed


def test_speed_is_rows_over_the_median() -> None:
    found = bench()
    assert found.evaluations_per_second(found.full) == pytest.approx(4 / 0.8)
    assert found.rate(found.full) == pytest.approx(2e9 * 4 / 0.8)
    assert found.full.compile_s == pytest.approx(5.0 - 0.8)
    assert compile_seconds(found.of("stack")) == pytest.approx(4.2 + 4.8)


def test_shares_of_the_products_are_taken_within_each_round() -> None:
    found = bench()
    # in every round the square product takes an eighth of the stack's time
    assert found.square_share(found.full) == pytest.approx((2e9 * 4 / 0.8) / (SQUARE**3 / 0.1))
    assert PRODUCTS.macs == 100 * (4 * 100 + 2 * 10 * 40)
    own_rate = PRODUCTS.macs / 0.2
    assert found.own_share(found.full) == pytest.approx((2e9 * 4 / 0.8) / own_rate)
    assert found.own_share(found.of("plain")[0]) is None


def test_time_shares_are_held_against_shares_of_the_macs() -> None:
    found = bench()
    low = found.of("stack")[1]
    assert (found.time_share(low), found.mac_share(low)) == (0.25, 0.25)
    assert found.off_share() == ()
    slow = replace(found, timed=(found.full, timed("small", "stack", "low", 0.5, 0.24, 0.12, 0.24)))
    assert [one.configuration for one in slow.off_share()] == [("low",)]
    assert "takes 1.20 of the time that its share of the MACs promises" in record(slow)


def test_a_policy_is_weighted_by_its_rows_and_two_savings_are_named_apart() -> None:
    found = bench()
    half = found.policies[1]
    assert found.image_seconds(half) == pytest.approx([(3 * 0.8 + 2 * 0.2) / 4, (3 * 0.4 + 2 * 0.1) / 4, 0.7])
    assert found.images_per_second(half) == pytest.approx(1 / 0.7)
    assert found.saved(half) == pytest.approx(1 - 2.8 / 4.0)
    assert [peer.model for peer in found.peers()] == ["plain", "dit"]
    dit = found.peers()[1]
    assert found.saved_against(half, dit) == pytest.approx(1 - 2.8 / 8.0)
    text = record(found)
    assert "| policy | images/s | MACs saved | saved, of the stack in full | of plain | of dit |" in text
    assert "| half | 1.429 | 30.0% | 30.0% | 53.3% | 65.0% |" in text


def test_conditioning_ahead_is_counted_once_a_batch_and_level() -> None:
    found = bench()
    ahead = tuple(replace(each, ahead_seconds=(0.01, 0.02, 0.01)) for each in found.timed)
    found = replace(found, timed=ahead)
    half = found.policies[1]
    assert found.image_seconds(half)[0] == pytest.approx((2.8 + 3 * 0.01) / 4)
    assert found.peer_image_seconds(found.peers()[1])[1] == pytest.approx((5 * 0.8 + 3 * 0.02) / 4)
    # under guidance the batch holds half as many images, and all of them share what was computed
    guided = replace(found, guided=True)
    assert guided.image_seconds(half)[0] == pytest.approx(2.8 / 4 + 3 * 0.01 / 2)


def test_the_record_says_what_it_must() -> None:
    text = record(bench())
    for word in ("**Question.**", "**Command.**", "**Hardware.**", "**Versions.**", "**Method.**", "**Numbers.**"):
        assert word in text
    assert "`legoc bench small.yaml`, on 2026-11-23, at commit abc1234" in text
    assert "In full the stack is 1.50 times as fast as the same stack by hand." in text
    assert "All 2 configurations together took 9.0 s to compile." in text
    assert "Note: the DiT is made up." in text
    assert "No DiT was timed" not in text
    alone = replace(bench(), timed=bench().timed[:2])
    assert "No DiT was timed beside it" in record(alone)
    assert "by hand" not in record(alone).split("7. ")[1]


def test_json_has_samples_and_figures() -> None:
    data = json.loads(json.dumps(bench().to_json()))
    assert data["bench_version"] == BENCH_VERSION
    assert data["timed"][0]["seconds"] == [0.8, 0.4, 0.8]
    assert data["timed"][0]["median_s"] == 0.8
    assert data["policies"][1]["time_saved_against"]["dit"] == pytest.approx(0.65)
    assert data["policies"][1]["rows"] == [
        {"configuration": ["low", "top"], "rows": 3},
        {"configuration": ["low"], "rows": 2},
    ]


def test_the_plot_has_a_bar_for_every_model() -> None:
    svg = plot(bench())
    for one in bench().timed:
        assert f">{one.label}</text>" in svg
    assert ">800 ms</text>" in svg
    assert svg.count('class="own"') == 2
