"""`legoc estimate` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from legoc.__main__ import main

ROOT = Path(__file__).parents[2]
TINY = ROOT / "examples" / "tiny.yaml"


def test_text_on_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", str(ROOT / "specs" / "lego_u_xl.yaml"), "--gpu", "h100", "--images", "350M"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith("lego_u_xl on one NVIDIA H100 80GB (SXM): an estimate, not a measurement\n")
    assert "350,000,000 images, batch 256" in captured.out


def test_json_takes_images_batch_and_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--gpu", "a100", "--images", "1.5M", "--batch", "7", "--set", "brick_defaults.train_patches=1", "--json"]
    assert main(["estimate", str(TINY), *flags]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["images"], data["batch"]) == (1_500_000, 7)
    assert [each["precision"] for each in data["precisions"]] == ["float32", "bfloat16"]


def test_ddpm_specs_are_estimated_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", str(ROOT / "specs" / "dit_xl_2.yaml"), "--gpu", "h100"]) == 0
    assert "102,400,000 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gpu", "h100", "--images", "many"], "--images many: expected a whole number"),
        (["--gpu", "h100", "--batch", "0"], "--batch"),
        (["--gpu", "tpu"], "tpu"),
        ([], "--gpu"),
    ],
)
def test_bad_requests_exit_2(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", str(TINY), *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_the_cpu_is_measured_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from legoc.__main__ import main\n"
        f"sys.exit(main(['estimate', {str(TINY)!r}, '--gpu', 'cpu']))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert "measured now, at a load of" in result.stdout
