"""The ablation's rows are what the catalogs list, and its script runs."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from legoc.lower.passes.catalog import exact_sampling
from legoc.lower.passes.opt_in.catalog import opt_in_sampling
from tests.stacks import stack

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "ablation.py"))


def test_every_pass_of_the_catalogs_has_a_row(script: dict[str, Any]) -> None:
    rows = list(script["variants"]("inductor", "cpu", whole=True))
    assert rows[0].name == "all on"
    off = [row.disable for row in rows if row.name.startswith("without ") and row.disable and row.tables]
    assert {name for (name,) in off} == {step.name for step in exact_sampling()}
    assert {row.enable for row in rows if row.enable} == {(step.name,) for step in opt_in_sampling()}
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    assert "every block compiled, GELU as `call` instead of `sigmoid`" in names
    assert not any("epilogue" in name for name in names)
    # what differs in passes alone shares what was compiled; what differs in kernels does not
    assert len({id(row.backend) for row in rows if row.disable and row.backend.name == "inductor"}) == 1
    assert len({id(row.backend) for row in rows}) == 7


def test_8_bit_products_have_a_row_where_the_hardware_has_them(script: dict[str, Any], monkeypatch) -> None:
    wide, first = stack(widths=(1152, 1152, 1152), heads=16), next(script["variants"]("eager", "cuda", whole=False))
    where = torch.device("cpu"), torch.bfloat16
    assert list(script["eight_bits"](first, wide, *where)) == []
    monkeypatch.setitem(script["eight_bits"].__globals__, "fp8_lack", lambda device, dtype: None)
    (row,) = script["eight_bits"](first, wide, *where)
    assert (row.name, row.fp8.bricks) == ("with 8-bit products in windows, whole", ("windows", "whole"))
    assert list(script["eight_bits"](first, stack(), *where)) == []


def test_it_runs_and_every_row_agrees(script: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    script["main"]([str(ROOT / "examples" / "tiny.yaml"), "--backend", "eager", "--repeats", "1", "--batch", "2"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert "windows+image, ms | over all on | windows, ms | over all on | largest difference" in lines[0]
    found = {cells[1]: cells for line in lines[2:] if (cells := [cell.strip() for cell in line.split("|")])}
    assert {"all on", "without share-equal", "the same stack by hand"} <= set(found)
    assert float(found["all on"][3]) == 1.0
    assert all(float(cells[6]) < 1e-5 for cells in found.values() if cells[6] != "-")
