"""A few strikes on a small run; `python -m tests.kill.run --kills 60` makes more, `RESULT.md` has its record."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kill.run import UnsoundError, sound
from tests.kill.same import differences
from tests.training.tiny import train_tiny


def test_killed_runs_end_as_if_nothing_had_happened() -> None:
    """In a process of its own: it forks, which one with threads must not."""
    command = [sys.executable, "-m", "tests.kill.run", "--kills", "4", "--seed", "6", "--images", "240"]
    ended = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^[1-9]\d* runs finished, each the run without a break", ended.stdout, re.MULTILINE)


def test_the_harness_sees_a_lost_checkpoint_another_weight_and_another_line(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    train_tiny(one)
    train_tiny(other)
    assert differences(one, other) is None
    assert sound(one, 32) == 32
    with pytest.raises(UnsoundError, match="the checkpoint at 33 images is gone"):
        sound(one, 33)
    metrics = other / "metrics.jsonl"
    text = metrics.read_text()
    metrics.write_text(text.replace('"step": 3', '"step": 4'))
    assert differences(one, other) == "metrics.jsonl"
    train_tiny(tmp_path / "third", seed=1)
    assert str(differences(one, tmp_path / "third")).startswith("ema-0.5.safetensors: ")
