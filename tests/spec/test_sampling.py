"""What a spec asks of sampling: policy, seeds, classes, average and batch, in the words of the flags."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from legoc.cli import sample, train
from legoc.cli.parameters import Option, parameters
from legoc.hashes import spec_hashes
from legoc.spec import check_text, resolved_yaml
from legoc.spec.written import Data, Sample
from legoc.spec.written_train import Optimizer, Train
from legoc_runtime.contract.settings import Region, SampleSettings, TrainSettings

BASE = """\
legoc: 1
name: sampled
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 9}
brick_defaults: {width: 192, heads: 6, depth: 2}
bricks:
  - {id: windows, size: 4}
  - {id: image, size: image}
skip_policies:
  late: {image: "sigma < 0.3"}
train: {ema: [0.999, 0.9999], ema_profiles: [0.05]}
"""


def settings(addition: str, base: str = BASE) -> SampleSettings:
    spec = check_text(base + addition, "t").spec
    assert spec is not None
    again = check_text(resolved_yaml(spec), "t").spec
    assert again is not None
    assert again.sample == spec.sample
    return spec.sample


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("skip_policy: late", {"skip_policy": "late"}),
        ("skip_policy: halfway:0.4", {"skip_policy": "halfway:0.4"}),
        ("seeds: 7", {"seeds": "7"}),
        ("seeds: 1, 5,9 - 12", {"seeds": "1,5,9-12"}),
        ('seeds: "0-49999"', {"seeds": "0-49999"}),
        ("classes: 3", {"classes": "3"}),
        ("classes: [0, 3, 5]", {"classes": "0,3,5"}),
        ("classes: 0, 3,5", {"classes": "0,3,5"}),
        ("classes: balanced", {"classes": "balanced"}),
        ("ema: 0.9999", {"ema": "0.9999"}),
        ("ema: none", {"ema": "none"}),
        ("ema: profile-0.05", {"ema": "profile-0.05"}),
        ("batch: 7", {"batch": 7}),
        ("decoder: models/sd vae", {"decoder": "models/sd vae"}),
        ("decoder: none", {"decoder": "none"}),
        ("decode: whole", {"decode": "whole"}),
        ("size: grid", {}),
        ("size: 64x256", {"size": "64x256", "stride": 7}),
        ("size: 64", {"size": "64x64", "stride": 7}),
        ("{size: 040 x 64, stride: 3, canvas: factorised}", {"size": "40x64", "stride": 3, "canvas": "factorised"}),
        (
            "{size: 64x32, wrap: true, regions: [{class: 3, box: [0, 0, 32, 9]}, {box: [1, 2, 3, 4], class: 0}]}",
            {
                "size": "64x32",
                "stride": 7,
                "wrap": True,
                "regions": (Region(3, 0, 0, 32, 9), Region(0, 1, 2, 3, 4)),
            },
        ),
    ],
)
def test_what_is_written_is_what_is_sampled(written: str, resolved: dict[str, Any]) -> None:
    assert settings(f"sample:\n  {written}\n") == replace(SampleSettings(), **resolved)


def test_the_stride_that_goes_without_saying_is_that_of_a_smaller_window() -> None:
    small = BASE.replace("height: 32", "height: 4")
    assert settings("sample: {size: 8x64}\n", small).stride == 4


def test_a_canvas_is_of_the_sampling_hash_alone_and_says_nothing_where_its_default_is_written() -> None:
    hashes: list[tuple[str, ...]] = []
    for written in ("{}", "{size: 64x64}", "{size: 64x64, stride: 7, wrap: false, regions: []}", "{size: grid}"):
        spec = check_text(f"{BASE}sample: {written}\n", "t").spec
        assert spec is not None
        found = spec_hashes(spec)
        hashes.append((found.architecture, found.training, found.sampling))
    none, canvas, same, grid = hashes
    assert none == grid
    assert canvas == same
    assert none[:2] == canvas[:2]
    assert none[2] != canvas[2]


def test_a_size_of_grid_takes_back_the_canvas_of_a_base() -> None:
    canvas = BASE + "sample: {size: 64x64, stride: 3, canvas: factorised, wrap: true}\n"
    spec = check_text(canvas, "t", ["sample.size=grid"]).spec
    assert spec is not None
    assert spec.sample == SampleSettings()


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{class: 99, box: [9]}", "a region has class 99, which is none"),
        ("{class: 99, box: [0, x, 9, 9]}", "a region has class 99, which is none"),
        ("{class: 99}", "a region has class 99, which is none"),
        ("{class: x, box: [0, 0, 99, 99]}", "the box [0, 0, 99, 99] is empty or leaves the canvas of 64x64"),
        ("{class: 99, box: [0, 0, 9, 9]}", "the region 99:0,0,9,9 has class 99, which is none"),
    ],
)
def test_a_region_is_called_as_it_is_written_however_broken(written: str, words: str) -> None:
    found = check_text(f"{BASE}sample: {{size: 64x64, regions: [{written}]}}\n", "t").diagnostics
    assert [finding.message for finding in found if finding.code == "LG115"] == [words]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{decode: whole}", "no VAE decodes any"),
        ("{decode: whole, decoder: vae}", "pictures have the grid's size"),
        ("{decode: whole, size: 64x64, decoder: none}", "no VAE decodes any"),
        ("{decode: whole, size: 64x64, decoder: vae}", None),
        ("{decode: tiles}", None),
        ("{decode: whole, size: 64x64, decoder: 3}", None),
    ],
)
def test_a_way_of_decoding_that_decodes_nothing_is_warned_of(written: str, words: str | None) -> None:
    found = [one for one in check_text(f"{BASE}sample: {written}\n", "t").diagnostics if one.code == "LG116"]
    assert [one.message for one in found] == (
        [] if words is None else [f"`decode` says how canvases are decoded, and {words}"]
    )


@pytest.mark.parametrize(
    ("written", "codes"),
    [
        ("{stride: 4, canvas: factorised}", ["LG113", "LG113"]),
        ("{stride: null, wrap: true}", ["LG103", "LG113"]),
        ("{size: 16x16, stride: 99, regions: [{class: 1, box: [0, 0, 99, 99]}]}", ["LG114", "LG114"]),
        ("{size: 999999x32, regions: [{class: 9, box: [0, 0, 9, 9]}]}", ["LG104"]),
        ("{size: 64x64, regions: [{class: 9, box: [9, 9, 0, 0]}]}", ["LG115", "LG115"]),
        ("{size: 64x64, regions: [{class: 1, box: [9]}, {class: 9}]}", ["LG104", "LG102", "LG115"]),
        ("{size: 64x64, regions: [{box: [0, 0, 9, 9], clas: 3}, 3]}", ["LG101", "LG103"]),
    ],
)
def test_every_fault_of_a_canvas_is_found_once(written: str, codes: list[str]) -> None:
    found = check_text(f"{BASE}sample: {written}\n", "t").diagnostics
    assert sorted(finding.code for finding in found) == sorted(codes)
    assert all(finding.primary is not None and finding.primary.span.line == 12 for finding in found)


def test_skip_keys_make_the_default_policy_unless_another_one_is_named() -> None:
    keyed = BASE.replace("size: image}", 'size: image, skip: "sigma < 1"}')
    assert settings("").skip_policy == "none"
    assert settings("", keyed).skip_policy == "default"
    assert settings("sample: {skip_policy: none}\n", keyed).skip_policy == "none"
    assert settings("sample: {skip_policy: default}\n", keyed).skip_policy == "default"


def test_a_policy_whose_own_fault_is_told_is_not_called_unknown_as_well() -> None:
    broken = BASE.replace('late: {image: "sigma < 0.3"}', "late: 3") + "sample: {skip_policy: late}\n"
    assert [finding.code for finding in check_text(broken, "t").diagnostics] == ["LG103"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("seeds: [1]", "seeds such as 0-63"),
        ("seeds: 1.5", "seeds such as 0-63"),
        ("seeds: -3", "seeds such as 0-63"),
        ("seeds: 1 2", "seeds such as 0-63"),  # not the seed 12
        ("classes: 1 2", "a class such as 3"),
        ("classes: []", "a class such as 3"),
        ("classes: [a]", "a class such as 3"),
        ("classes: 1.5", "a class such as 3"),
        ("classes: cat", "a class such as 3"),
        ("ema: 2", "the rate of an average"),
        ("ema: [0.999]", "the rate of an average"),
        ("ema: null", "first"),
        ("seeds: 1-2-3", "seeds such as 0-63"),
        ("skip_policy: [late]", "text"),
    ],
)
def test_what_cannot_be_read_is_marked_with_what_is_expected(written: str, expected: str) -> None:
    (finding,) = check_text(f"{BASE}sample:\n  {written}\n", "t").diagnostics
    assert finding.code in ("LG103", "LG106")
    assert finding.primary is not None
    assert finding.primary.span.line == 13
    assert expected in finding.message + finding.primary.text


def test_a_number_of_guided_channels_reads_back() -> None:
    """It stood in quotes in the resolved spec of a build, which no reader takes for a number."""
    spec = check_text(f"{BASE}sample:\n  guidance_channels: 3\n", "t").spec
    assert spec is not None
    assert check_text(resolved_yaml(spec), "t").spec == spec


@pytest.mark.parametrize(
    ("written", "help"),
    [
        ("seeds: [1, 5]", "write `1,5`"),
        ("classes: balance", "did you mean `balanced`?"),
        ("classes: Random", "did you mean `random`?"),
        ("ema: First", "did you mean `first`?"),
        ("ema: [0.999]", None),
        ('guidance_channels: "3"', "write `3`, without quotes"),
        ("guidance_channels: All", "did you mean `all`?"),
        (
            "guidance_interval: [5, 0.3]",
            "write `[0.3, 5]`: sigma falls while sampling, and bounds have the lower one first",
        ),
        ("guidance_interval: [5, 5]", None),
        ("guidance_interval: [0.3]", "`[0, 0.3]` guides where sigma is at most 0.3"),
        ("guidance_interval: 0.3", "`[0, 0.3]` guides where sigma is at most 0.3"),
        ("size: [64, 128]", "write `64x128`, height first"),
        ("size: {height: 64, width: 128}", "write `64x128`, height first"),
        ("regions: 3", "write `[{class: 3, box: [0, 0, 64, 32]}]`, x across"),
    ],
)
def test_a_slip_is_told_the_word_that_was_meant(written: str, help: str | None) -> None:
    (finding,) = check_text(f"{BASE}sample:\n  {written}\n", "t").diagnostics
    assert finding.help == help


@pytest.mark.parametrize(
    ("written", "code", "words"),
    [
        ("seeds: 9-12,10", "LG108", "the seed 10 is asked for twice"),
        ("seeds: 0-99999999999", "LG108", "more than 10,000,000 seeds"),
        ("seeds: 99999999999999999999", "LG108", "too large"),
        (f"seeds: 0-{'9' * 5000}", "LG108", "too large"),
        ("classes: 0,9", "LG108", "there is no class 9: the stack has classes 0 to 8"),
        ("ema: 0.5", "LG108", "training keeps 0.999 and 0.9999"),
        ("ema: profile-0.1", "LG108", "`profile-0.1`, which training does not keep"),
        ("skip_policy: halfwy", "LG315", "there is no skip policy `halfwy`"),
        ("skip_policy: halfway:x", "LG315", "must be a number from 0 to 1"),
    ],
)
def test_what_does_not_exist_is_named(written: str, code: str, words: str) -> None:
    (finding,) = check_text(f"{BASE}sample:\n  {written}\n", "t").diagnostics
    assert finding.code == code
    assert words in finding.message


@pytest.mark.parametrize(
    ("written", "counts"),
    [
        ("skip_policy: late", True),
        ("seeds: 0-3", True),
        ("classes: 3", True),
        ("ema: none", True),
        ("batch: 7", False),
        ("decoder: x", True),
    ],
)
def test_the_sampling_hash_is_of_what_decides_pictures(written: str, counts: bool) -> None:
    before, after = (check_text(BASE + addition, "t").spec for addition in ("", f"sample: {{{written}}}\n"))
    assert before is not None
    assert after is not None
    one, other = spec_hashes(before), spec_hashes(after)
    changed = [hash.name for hash in fields(one) if getattr(one, hash.name) != getattr(other, hash.name)]
    assert changed == (["sampling"] if counts else [])


OF_THE_MACHINE = {
    "device",
    "backend",
    "trust_native",
    "track",
    "cuda_graphs",
    "fp8",
    "dtype",
    "quiet",
    "window_batch",
    "decode_batch",
}
OF_A_CALL_TO_SAMPLE = {"npz", "images_from", "strength", "mask"}
OF_THE_CALL = {"out", "resume", "change", "overwrite", "overrides", *OF_A_CALL_TO_SAMPLE}
"""What ARCHITECTURE leaves to flags alone."""


def test_every_flag_that_decides_pictures_or_weights_has_a_key() -> None:
    def flags(command: Any) -> set[str]:
        options = {found.name for found in parameters(command) if isinstance(found.declared, Option)}
        return options - OF_THE_MACHINE - OF_THE_CALL

    assert flags(sample.command) <= set(Sample.model_fields)
    assert {f.name for f in fields(SampleSettings)} == set(Sample.model_fields)
    data = {"data": "path", "resize": "resize"}
    keys = {*Train.model_fields, *Optimizer.model_fields}
    of_data = {name for name in flags(train.command) if name in data}
    assert flags(train.command) - of_data <= keys
    assert {data[name] for name in of_data} <= set(Data.model_fields)
    named = {"learning_rate" if key == "lr" else key for key in keys - {"optimizer", "name"}}
    assert {f.name for f in fields(TrainSettings)} == named
