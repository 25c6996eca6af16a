"""The GPU session is ready: every part of it runs on a CPU, without the compiler's packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_session.py"
WITHOUT = ("pydantic", "ruamel", "ruamel.yaml", "networkx", "typer", "rich")


def run(*arguments: str, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])}
    code = f"import runpy, sys\nfor name in {without!r}: sys.modules[name] = None\n"
    code += f"sys.argv = {['gpu_session', *arguments]!r}\nrunpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)


def test_every_part_runs_without_the_compilers_packages(tmp_path: Path) -> None:
    prepared = run(str(tmp_path), "--prepare", "--spec", "tiny")
    assert prepared.returncode == 0, prepared.stderr
    found = run(
        str(tmp_path), "--device", "cpu", "--batch", "2", "--repeats", "1", "--backend", "eager", without=WITHOUT
    )
    assert found.returncode == 0, found.stderr
    assert "FAILED" not in found.stdout, found.stdout
    for row in (
        "compiling all 2 configurations, eager",
        "peak memory of all configurations over that of one",
        "dit_s_2 full",
        "tiny full",
        "tiny skipped",
        "tiny halfway, mean over the schedule",
        "tiny full, 2 rows, no graph on a CPU",
        "as `sdpa`",
        ", fp8 |",
        "tiny by hand, eagerly",
    ):
        assert row in found.stdout, row
    assert "| 42 ms, then 39 | 36 ms |" in found.stdout


def test_a_part_that_fails_is_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    found = run(str(tmp_path / "no builds"), "--device", "cpu", "--batch", "2", "--repeats", "1")
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("FAILED") == 6


def test_nothing_begins_when_the_time_is_up(tmp_path: Path) -> None:
    found = run(str(tmp_path), "--device", "cpu", "--minutes", "0")
    assert found.stdout.count("not measured: the time was up") == 6
