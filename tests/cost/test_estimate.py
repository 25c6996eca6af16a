"""Estimates against the runs that their assumptions come from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from legoc.cost import parameters, price
from legoc.driver import describe_spec
from legoc.estimate import (
    A100,
    H100,
    Machine,
    Probe,
    Rate,
    duration,
    estimate,
    estimate_text,
    machine,
    noise,
    probe_cpu,
    speed,
)
from legoc.spec import load_spec
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.errors import UsageError
from tests.spec.preset_table import SPECS


def preset(name: str, *overrides: str) -> Manifest:
    return describe_spec(load_spec(SPECS / f"{name}.yaml", overrides))[0]


def bfloat16(name: str, device: Machine, *overrides: str, batch: int = 64):
    (found,) = [
        e for e in estimate(preset(name, *overrides), device, batch=batch).precisions if e.precision != "float32"
    ]
    return found


@pytest.mark.parametrize(
    ("name", "overrides", "device", "images_per_second"),
    [
        ("dit_xl_2", [], H100, 511),
        ("lego_pg_xl", ["brick_defaults.train_patches=1"], H100, 596),
        ("dit_xl_2", [], A100, 108),
        # a prototype of 7.2 M parameters: every patch trained, depths and receptive fields other than the preset's
        ("emoji_32", ["brick_defaults.train_patches=1", "bricks.parts.receptive_field=8"], H100, 20_000),
    ],
)
def test_the_rates_give_back_what_was_measured(
    name: str, overrides: list[str], device: Machine, images_per_second: float
) -> None:
    assert bfloat16(name, device, *overrides).images_per_second == pytest.approx(images_per_second, rel=0.15)


def test_hours_and_batches_follow_from_the_assumptions() -> None:
    device = Machine("a box", 10**9, {"float32": Rate(1e12, 0.5, 0.5, "assumed")}, narrow=False)
    build = preset("emoji_32")
    found = estimate(build, device, images=10**6, batch=100)
    (each,) = found.precisions
    assert each.images_per_second == pytest.approx(0.5e12 / (2 * found.executed_training_macs))
    assert each.hours == pytest.approx(10**6 / each.images_per_second / 3600)
    assert found.state_bytes == 5 * 4 * parameters(build.shape)
    # the largest batch fits, and one image more does not
    for batch, fits in ((each.largest_batch, True), (each.largest_batch + 1, False)):
        (again,) = estimate(build, device, batch=batch).precisions
        assert again.fits is fits
    (narrow,) = estimate(build, replace(device, narrow=True)).precisions
    assert narrow.share == pytest.approx(0.5 * 192 / 512)
    assert (narrow.narrow_width_factor, each.narrow_width_factor) == (pytest.approx(192 / 512), 1)


def test_a_stack_that_does_not_fit_says_so() -> None:
    small = Machine("a small box", 10**8, {"float32": Rate(1e12, 0.5, 0.5, "assumed")}, narrow=False)
    found = estimate(preset("lego_u_xl"), small)
    assert (found.precisions[0].largest_batch, found.precisions[0].fits) == (0, False)
    text = estimate_text(found)
    assert "does NOT fit" in text
    assert "largest batch  not even one image fits" in text


def test_windows_that_do_not_train_cost_nothing() -> None:
    whole, sampled = (preset("lego_pg_l", f"brick_defaults.train_patches={share}") for share in ("1", "0.5"))
    whole_found, sampled_found = estimate(whole, H100), estimate(sampled, H100)
    assert sampled_found.executed_training_macs < whole_found.executed_training_macs
    assert sampled_found.precisions[0].largest_batch > whole_found.precisions[0].largest_batch


def test_text_and_json_name_their_assumptions() -> None:
    found = estimate(preset("lego_pg_s"), H100)
    text = estimate_text(found)
    assert "an estimate, not a measurement" in text
    assert text.count("  assumed ") == 2
    assert "989.0 TFLOP/s" in text
    data = json.loads(json.dumps(found.to_json()))
    assert (data["estimate_version"], data["images"], data["batch"]) == (1, 100_000_000, 128)
    assert all(each["assumption"] for each in data["precisions"])


def test_what_processes_would_share_out_is_said_and_not_counted() -> None:
    plain, shared = (estimate(preset("lego_pg_s", f"train.sharding={kind}"), H100) for kind in ("none", "fsdp2"))
    assert shared.precisions == plain.precisions
    assert "sharding" not in estimate_text(plain)
    assert "sharding: fsdp2 shares nothing out on one device; each of N processes holds 1/N" in estimate_text(shared)


def test_the_narrow_width_factor_is_said_with_its_origin() -> None:
    found = estimate(preset("emoji_32"), H100)
    text = " ".join(estimate_text(found).split())
    assert "a factor of 0.375, as widths below 512 reach less in proportion: fitted to one run on an H100" in text
    (each, _) = found.to_json()["precisions"]
    assert each["narrow_width_factor"] == pytest.approx(192 / 512)
    assert "20,000 images/s" in each["narrow_width_source"]
    wide = estimate(preset("lego_u_xl"), H100)
    assert "narrow" not in estimate_text(wide)
    assert wide.precisions[0].narrow_width_source is None


def test_json_has_units_in_its_names_and_the_names_of_cost() -> None:
    build = preset("emoji_32")
    data = estimate(build, H100).to_json()
    assert data["executed_training_macs"] == price(build).to_json()["executed_training_macs"]
    assert {"machine_memory_bytes", "state_bytes"} <= set(data)
    assert "memory_bytes" in data["precisions"][0]
    assert not {"macs", "state", "machine_memory"} & set(data)


@pytest.mark.parametrize(("speed_", "text"), [(12345.6, "12,346"), (99.96, "100"), (3.14159, "3.14"), (0.03, "0.03")])
def test_speeds_have_three_digits(speed_: float, text: str) -> None:
    assert speed(speed_) == text


def test_a_noisy_probe_says_so() -> None:
    assert noise(Probe(1e11, 0.05, 100, 0.1), 2) is None
    assert noise(Probe(1e11, 0.05, 100, float("nan")), 2) is None
    assert "load 1.9 on 2 cores" in (noise(Probe(1e11, 0.05, 100, 1.9), 2) or "")
    assert "spread by 60%" in (noise(Probe(1e11, 0.6, 100, 0.1), 2) or "")
    busy = Machine("a box", 10**9, {"float32": Rate(1e12, 0.5, 0.5, "assumed", "it was busy")}, narrow=False)
    found = estimate(preset("emoji_32"), busy)
    assert "  warning        it was busy" in estimate_text(found)
    assert found.to_json()["precisions"][0]["warning"] == "it was busy"


def test_requests_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="no figures for a machine `tpu`"):
        machine("tpu")
    with pytest.raises(UsageError, match="1 or more"):
        estimate(preset("emoji_32"), H100, images=0)


def test_this_cpu_is_measured() -> None:
    probe = probe_cpu(0.1)
    assert 1e8 < probe.rate < 1e14
    assert probe.products >= 5


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0.01, "36 s"),
        (0.5, "30 min"),
        (7.46, "7.5 hours"),
        (80, "80.0 hours (3 days)"),
        (1234, "1,234 hours (51 days)"),
    ],
)
def test_durations_are_said_as_people_say_them(hours: float, text: str) -> None:
    assert duration(hours) == text
