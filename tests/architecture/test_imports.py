"""The directions between rooms, as contracts and as what Python really loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_import_contracts_hold() -> None:
    result = run(Path(sys.executable).with_name("lint-imports"), "--no-cache", cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


ROOMS = ("spec", "graph", "passes", "lower", "cost", "draw", "render", "review.request", "report.request")
FRONT_END = ", ".join(f"legoc.{room}" for room in ROOMS)
RUNTIME = ", ".join(f"legoc_runtime.{room}" for room in ("stack", "training", "sampling", "data", "checkpoint"))


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("legoc, legoc_runtime, legoc_runtime.contract.manifest", ["torch", "numpy"]),
        (FRONT_END, ["torch"]),
        (RUNTIME, ["legoc", "networkx", "ruamel", "typer", "rich", "pydantic"]),
    ],
    ids=["contract", "front end", "runtime"],
)
def test_what_an_import_loads(modules: str, absent: list[str], tmp_path: Path) -> None:
    code = f"import sys, {modules}\nprint(*[m for m in {absent!r} if m in sys.modules])"
    result = run(sys.executable, "-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_the_runtime_folder_is_no_package() -> None:
    """It holds `legoc_runtime` and is never itself imported: an `__init__.py` would ship a third package."""
    assert not (ROOT / "runtime" / "__init__.py").exists()
