"""DDPM in the language, offsets, compatibility keys: what they mean, what is refused and where."""

from __future__ import annotations

import itertools

import pytest

from legoc.diagnostics import Diagnostic
from legoc.source import SourceFile
from legoc.spec import check_text, resolved_yaml
from legoc.spec.compose import compose
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.contract.stack import DdpmConstants, EdmConstants

BASE = """\
legoc: 1
name: example
grid: {height: 32, width: 32, channels: 4}
conditioning: {classes: 9}
brick_defaults: {width: 192, heads: 6}
bricks:
  - {id: windows, size: 4, depth: 2}
  - {id: image, size: image, depth: 5}
"""
FULL = """\
legoc: 1
name: full
grid: {height: 32, width: 48, channels: 4}
conditioning: {classes: 9, label_dropout: 0.2, width: 32}
diffusion: {kind: ddpm, steps: 500, beta_start: 2e-4, beta_end: 0.03, variance: learned_range}
bricks:
  - {id: windows, size: 4x8, offset: 2x3, receptive_field: 2, depth: 1, width: 16, heads: 2, train_patches: 0.5}
  - {id: image, size: image, offset: 1, depth: 1, width: 16, heads: 2, loss_weight: 2, skip: "t < 100"}
skip_policies:
  late: {image: "t < 200 and sigma < 2"}
compat: {coordinates: none, label_embedding: linear, time_scale: 1000}
train: {fill: zeros, gradient: detached}
sample: {sampler: ddpm, steps: 250, guidance: 1.5}
"""


def findings(text: str) -> tuple[Diagnostic, ...]:
    return check_text(text, "t.yaml").diagnostics


def spec_of(text: str) -> StackSpec:
    result = check_text(text, "t.yaml")
    assert not result.diagnostics
    assert result.spec is not None
    return result.spec


def test_every_new_key_reaches_the_spec_and_reads_back() -> None:
    spec = spec_of(FULL)
    assert spec.shape.diffusion == DdpmConstants(500, 2e-4, 0.03, "learned_range")
    assert spec.shape.time_scale == 1000
    assert [brick.offset for brick in spec.shape.bricks] == [(2, 3), (1, 1)]
    assert [(brick.variance_channels, brick.out_features) for brick in spec.shape.bricks] == [(4, 32), (4, 32)]
    assert (spec.train.fill, spec.sample) == ("zeros", SampleSettings("ddpm", 250, 1.5, skip_policy="default"))
    canonical = resolved_yaml(spec)
    assert spec_of(canonical) == spec
    assert "churn" not in canonical


def test_the_word_ddpm_takes_its_own_constants_and_sampler() -> None:
    spec = spec_of(BASE + "diffusion: ddpm\n")
    assert (spec.shape.diffusion, spec.sample.sampler) == (DdpmConstants(), "ddpm")
    assert {brick.variance_channels for brick in spec.shape.bricks} == {0}
    assert spec_of(BASE).shape.diffusion == EdmConstants()


@pytest.mark.parametrize(
    ("addition", "code", "marked", "help"),
    [
        ("diffusion: {kind: edm, beta_end: 0.02}", "LG111", "beta_end", "`kind: ddpm`"),
        ("diffusion: {kind: ddpm, p_mean: 1}", "LG111", "p_mean", "`kind: edm`"),
        ("sample: {sampler: ddpm}", "LG111", "ddpm", "`sampler: heun`"),
        ("diffusion: ddpm\nsample: {churn_noise: 1}", "LG111", "churn_noise", "remove it"),
        ("diffusion: ddpm\nsample: {eta: 0.5}", "LG111", "eta", "`sampler: ddim`"),
        ("sample: {eta: 0.5}", "LG111", "eta", "only `diffusion: ddpm`"),
        ("diffusion: ddpm\nsample: {sampler: ddim, eta: 1.5}", "LG104", "1.5", "None"),
        ("diffusion: {kind: ddpm, beta_start: 0.05}", "LG108", "0.05", "None"),
        ("diffusion: {kind: ddpm, beta_start: 1e-20}", "LG104", "1e-20", "None"),
        ("diffusion: {kind: ddpm, beta_end: 0.5}", "LG108", "0.5", "`beta_end: 0.02`"),
        ("diffusion: {kind: ddpm, steps: 20}", "LG108", "20", "`sample: {steps: 20}`"),
        ("diffusion: ddpm\nsample: {steps: 1001}", "LG108", "1001", "at most 1,000"),
        ("diffusion: vdm", "LG105", "vdm", "`edm`"),
        ("diffusion: {kind: ddpm, timesteps: 100}", "LG101", "timesteps", "`steps`"),
        ("compat: {time_scale: 0}", "LG104", "0", "None"),
        ('skip_policies: {p: {image: "t < 3"}}', "LG302", "t", "EDM has `sigma`"),
    ],
)
def test_what_does_not_belong_is_refused_once_and_where_it_stands(
    addition: str, code: str, marked: str, help: str
) -> None:
    text = f"{BASE}{addition}\n"
    (finding,) = findings(text)
    assert finding.code == code
    assert finding.primary is not None
    assert text[finding.primary.span.start : finding.primary.span.end] == marked
    assert help in str(finding.help)


def test_a_broken_kind_silences_what_depends_on_it() -> None:
    text = BASE + 'diffusion: {kind: edn, beta_end: 0.02}\nskip_policies: {p: {image: "t < 3"}}\n'
    assert [finding.code for finding in findings(text)] == ["LG105"]


@pytest.mark.parametrize(
    ("brick", "offset", "codes"),
    [
        ("size: 4", "3", []),
        ("size: 4", "3x0", []),
        ("size: 4", "0", []),
        ("size: 4", "4", ["LG208"]),
        ("size: 4", "1x4", ["LG208"]),
        ("size: image", "1", []),  # half a token: its seams move
        ("size: image", "2", ["LG208"]),
        ("size: 4", "-1", ["LG104"]),
        ("size: 4", "1.5", ["LG103"]),
        ("size: 4", "1x", ["LG106"]),
    ],
)
def test_an_offset_is_smaller_than_what_it_shifts(brick: str, offset: str, codes: list[str]) -> None:
    text = BASE.replace(f"{brick},", f"{brick}, offset: {offset},")
    assert [finding.code for finding in findings(text)] == codes


def paths_of(text: str) -> list[tuple[str | int, ...]]:
    tree, _ = compose(SourceFile("t", text))
    assert tree is not None
    return [path for path in tree.nodes if path]


def test_any_misspelt_key_gives_one_diagnostic() -> None:
    tree, _ = compose(SourceFile("t", FULL))
    assert tree is not None
    for path in paths_of(FULL):
        key = tree.key(path)
        if key is None or path == ("skip_policies", "late"):
            continue
        expected = "LG305" if path[0] == "skip_policies" and len(path) == 3 else "LG101"
        assert [f.code for f in findings(FULL[: key.end - 1] + FULL[key.end :])] == [expected], path


def test_any_value_of_the_wrong_kind_gives_one_diagnostic() -> None:
    tree, _ = compose(SourceFile("t", FULL))
    assert tree is not None
    for path, wrong in itertools.product(paths_of(FULL), ("[[]]", "true")):
        span = tree.span(path)
        end = "\n" if "\n" in FULL[span.start : span.end] else ""
        found = findings(FULL[: span.start] + wrong + end + FULL[span.end :])
        assert [f.code for f in found] in (["LG103"], ["LG105"]), (path, wrong)
