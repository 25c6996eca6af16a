"""The script that prices breaks measures what a roll-out measures, keeps it, and reports it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from legoc.cli.sample_source import find_stack
from legoc.policies.predicates import policy_of
from legoc.spec import load_spec
from legoc_runtime.backends.base import choose_backend
from legoc_runtime.backends.device import choose_device, choose_dtype
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.study.roll_out import RollOuts
from tests.cli.small_run import write_run
from tests.image_sets import labelled_zip

ROOT = Path(__file__).parents[2]
DEMO = """\
legoc: 1
name: small_pr
grid: {height: 8, width: 8, channels: 3}
conditioning: {classes: 3}
brick_defaults: {width: 16, heads: 2, depth: 1}
bricks:
  - {id: whole, size: image, receptive_field: 4}
  - {id: detail, size: 4, receptive_field: 2}
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, found as `python benchmarks/breaks.py` finds it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import breaks  # pyright: ignore[reportMissingImports]

    yield breaks
    for name in ("breaks", "breaks_report"):
        sys.modules.pop(name, None)


def test_a_break_costs_what_its_roll_out_says_and_is_measured_once(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, demo = tmp_path / "out", write_run(tmp_path / "demo", DEMO)
    write_run(out / "drop", DEMO)
    data = labelled_zip(tmp_path / "data.zip", count=33)
    given = ["--out", str(out), "--demo", str(demo), "--data", str(data), "--seeds", "2"]
    monkeypatch.setattr(script, "SIGMAS", (0.1, 1.0))
    script.main([*given, "--parts", "denoising", "dropping"])
    said = capsys.readouterr().out
    assert "without `pg`" in said
    assert "without `plain`" in said
    points = json.loads((out / "points.json").read_text())
    source = find_stack(demo, None)
    shape, device = source.manifest.shape, choose_device("cpu")
    stack = source.load(
        [shape.ids, ("whole",)], backend=choose_backend("eager").backend, device=device, dtype=choose_dtype("float32")
    )
    rolls = RollOuts(stack, shape, SampleSettings(steps=18, guidance=1, batch=16), range(2))
    early = points["demo | 18 steps, rho 7, guidance 1 | detail early 1"]
    assert (sum(early["squared"]) / 2) ** 0.5 == pytest.approx(
        rolls.error(policy_of("early", {"detail": "sigma > 1"})), rel=1e-4
    )
    assert points["demo | denoising"]["by"]["whole+detail"]["whole"] == [0.0, 0.0]
    assert min(points["drop | denoising"]["by"]["detail"]["whole"]) > 0
    monkeypatch.setattr(script, "RollOuts", None)  # a second call has nothing to sample
    script.main([*given, "--parts", "dropping"])
    report = (out / "report.md").read_text()
    assert "| drop |" in report
    ElementTree.parse(out / "breaks-estimates.svg")


def test_both_trainings_differ_in_dropping_alone() -> None:
    plain, drop = (load_spec(ROOT / "benchmarks" / "breaks" / f"{name}.yaml").train for name in ("plain", "drop"))
    assert drop.drop is not None
    assert replace(drop, drop=None) == plain
