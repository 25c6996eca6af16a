"""Specs over several files, for tests of composition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from legoc.spec import CheckResult, check_file

BASE = """\
legoc: 1
name: base
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 9}
brick_defaults: {width: 192, heads: 6}
bricks:
  - {id: windows, size: 4, depth: 2}
  - {id: parts, size: 16, depth: 3, skip: "sigma < 0.2"}
  - {id: image, size: image, depth: 5}
skip_policies:
  lean: {image: "sigma < 0.3"}
train: {batch: 8, optimizer: {lr: 1e-3, betas: [0.8, 0.9]}}
"""


def write(folder: Path, files: dict[str, str | dict[str, Any]]) -> None:
    """Write files, given as text or as data."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def over_base(folder: Path, text: str, *overrides: str) -> CheckResult:
    """Check a text that extends `BASE`."""
    write(folder, {"base.yaml": BASE, "child.yaml": f"extends: base.yaml\n{text}"})
    return check_file(folder / "child.yaml", overrides)


def codes(result: CheckResult) -> list[str]:
    """The codes of what was found."""
    return [finding.code for finding in result.diagnostics]
