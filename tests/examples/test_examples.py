"""The examples are run as their first lines say, and must show what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(script: str, *arguments: str, without: str = "", allow: str = "") -> str:
    """The output of an example, run from the repository root.

    Args:
        script: its name.
        arguments: as it takes them.
        without: a module that cannot be imported.
        allow: a kind of warning that is no error.
    """
    paths = [str(ROOT / "runtime"), str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    allowed = ["-W", f"ignore::{allow}"] if allow else []
    command = [sys.executable, "-W", "error", *allowed, str(EXAMPLES / script), *arguments]
    if without:
        start = f"import runpy, sys; sys.modules[{without!r}] = None; sys.argv = {[script, *arguments]!r}"
        code = f"{start}; runpy.run_path({str(EXAMPLES / script)!r}, run_name='__main__')"
        command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_every_example_is_tested() -> None:
    tested = set(re.findall(r'run\("(\w+\.py)"', Path(__file__).read_text(encoding="utf-8")))
    assert tested == {path.name for path in EXAMPLES.glob("*.py")}


def test_check_and_cost_finds_every_mistake_without_torch() -> None:
    output = run("check_and_cost.py", without="torch")
    assert re.findall(r"^line \d+: (LG\d+)", output, re.MULTILINE) == ["LG101", "LG203", "LG201", "LG301", "LG305"]
    assert "`halfway` saves most" in output


def test_train_tiny_and_sample_with_skips(tmp_path: Path) -> None:
    output = run("train_tiny_and_skip.py", str(tmp_path))
    assert "none: 15 evaluations ran windows+image" in output
    assert "late: 9 evaluations ran windows+image" in output
    assert "late: 6 evaluations ran windows\n" in output
    with Image.open(tmp_path / "none.png") as none, Image.open(tmp_path / "late.png") as late:
        assert none.size == late.size
        assert none.tobytes() != late.tobytes()


def test_requests_at_different_steps_share_batches() -> None:
    output = run("serve_mixed_batch.py")
    # the last request comes at tick 6 and takes 10 steps; one by one they would take 60 batches
    assert "6 requests of 10 steps in 16 mixed batches" in output
    assert "6 of 6 pictures have the bits that they have alone" in output


def test_a_built_stack_in_your_own_loop() -> None:
    output = run("own_loop.py")
    assert output.splitlines()[:3] == [
        "none: steps 0 to 11 ran windows+image",
        "halfway: steps 0 to 5 ran windows+image",
        "halfway: steps 6 to 11 ran windows",
    ]
    difference = re.search(r"mean difference between the two ([\d.]+)", output)
    assert difference
    assert 0.01 < float(difference[1]) < 10


@pytest.mark.peers
def test_a_stack_in_a_loop_of_diffusers() -> None:
    """Euler's steps by diffusers' scheduler are those by hand, up to its float32."""
    output = run("diffusers_loop.py", allow="DeprecationWarning")  # of numpy, in diffusers
    assert "halfway: steps 6 to 11 ran windows\n" in output
    differences = re.findall(r"([\d.e-]+) from the loop by hand", output)
    assert len(differences) == 2
    assert max(map(float, differences)) < 1e-5
