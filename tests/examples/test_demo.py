"""The demo from end to end on a few seeds, and training for it on so few images that it learns nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from legoc_runtime.checkpoint import find_weights

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo"


def call(script: str, cwd: Path, *arguments: str | Path) -> str:
    """What the script prints."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, DEMO / script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def recorded(out: Path, *policies: str) -> dict[str, Any]:
    """samples.json of each policy; all of the same weights and classes."""
    records = {name: json.loads((out / "samples" / name / "samples.json").read_text()) for name in policies}
    assert len({record["request"]["weights_sha256"] for record in records.values()}) == 1
    assert len({str(record["request"]["classes"]) for record in records.values()}) == 1
    return records


def test_the_demo_samples_shipped_weights_under_four_policies_and_draws_them(tmp_path: Path) -> None:
    said = call("run.py", tmp_path, "--seeds", "0-3", "--out", "demo")
    out = tmp_path / "demo"
    records = recorded(out, "none", "early", "searched", "wrong")
    saved = {policy: record["timing"]["macs_saved"] for policy, record in records.items()}
    assert saved["none"] == 0 < saved["early"] < saved["searched"]
    for policy in records:
        assert f"\n{policy:<10}" in said
        assert (out / f"timeline-{policy}.svg").read_text().startswith("<svg")
    changes = {line.split()[0]: float(line.split()[3].split("/")[0]) for line in said.splitlines() if "/255" in line}
    assert changes["none"] == 0 < changes["early"] < changes["wrong"]
    assert changes["searched"] < changes["wrong"]
    with Image.open(out / "policies.png") as sheet:
        assert sheet.width > 900


def test_the_shipped_weights_are_of_the_spec_beside_them() -> None:
    """Small enough to ship, and what the model card says they are."""
    weights = find_weights(DEMO / "emoji_pr_32.safetensors")
    assert weights.path.stat().st_size < 15e6
    record = [json.loads(line) for line in (DEMO / "training.jsonl").read_text().splitlines()]
    assert f"{weights.images:,}" in (DEMO / "MODEL_CARD.md").read_text()
    assert weights.images - 2_048 < record[-1]["images"] <= weights.images, "a line every 2,000 images"
    out = subprocess.run(
        [
            sys.executable,
            "-m",
            "legoc",
            "diff",
            str(weights.path),
            str(DEMO / "emoji_pr_32.yaml"),
            "--fail-on",
            "cosmetic",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 0, out.stdout


def test_the_training_demo_trains_samples_three_policies_and_draws_them(tmp_path: Path) -> None:
    said = call("train.py", tmp_path, "--images", "256", "--seeds", "0-1", "--out", "demo")
    out = tmp_path / "demo"
    records = recorded(out, "none", "halfway", "late")
    saved = {policy: record["timing"]["macs_saved"] for policy, record in records.items()}
    assert saved["none"] == 0 < saved["late"] < saved["halfway"]
    for policy in records:
        assert f"{policy:<10}" in said
        assert (out / f"timeline-{policy}.svg").read_text().startswith("<svg")
    with Image.open(out / "policies.png") as sheet:
        assert sheet.width > 900
    assert (out / "loss.svg").read_text().count('class="curve ') > 3
