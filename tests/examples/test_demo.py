"""The demo from end to end, on so few images that it learns nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]


def test_the_demo_trains_samples_three_policies_and_draws_them(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    command = [sys.executable, ROOT / "examples" / "demo" / "run.py"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [*command, "--images", "512", "--seeds", "0-3", "--out", out],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = {
        policy: json.loads((out / "samples" / policy / "samples.json").read_text())
        for policy in ("none", "halfway", "late")
    }
    assert len({record["request"]["weights_sha256"] for record in records.values()}) == 1
    assert len({str(record["request"]["classes"]) for record in records.values()}) == 1
    saved = {policy: record["timing"]["macs_saved"] for policy, record in records.items()}
    assert saved["none"] == 0 < saved["late"] < saved["halfway"]
    for policy in records:
        assert f"{policy:<10}" in done.stdout
        assert (out / f"timeline-{policy}.svg").read_text().startswith("<svg")
    with Image.open(out / "policies.png") as sheet:
        assert sheet.width > 900
    assert (out / "loss.svg").read_text().count('class="curve ') > 3
