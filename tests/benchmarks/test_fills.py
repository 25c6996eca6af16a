"""The comparison of fills runs, holds images out, and measures every fill on the same ones."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from legoc_runtime.data import open_dataset

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "data" / "noto-emoji-32.zip"


def test_it_trains_every_fill_and_measures_it(capsys: pytest.CaptureFixture[str]) -> None:
    script: dict[str, Any] = runpy.run_path(str(ROOT / "benchmarks" / "fills.py"))
    whole = open_dataset(DATA)
    kept, others = (script["part"](whole, held_out=held_out) for held_out in (True, False))
    assert len(kept) + len(others) == len(whole)
    assert kept.label(1) == whole.label(10)
    tiny = ["--images", "4", "--batch", "2", "--width", "16", "--held-out", "4", "--data", str(DATA)]
    script["main"](["PG", *tiny])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["fill"] for line in lines] == ["noisy", "x0", "zeros", "model"]
    assert all(list(line["loss"]) == ["windows", "parts", "image"] for line in lines)
    macs = {line["fill"]: line["training_macs"] for line in lines}
    assert macs["model"] > macs["noisy"] == macs["x0"]
