"""A run directory that was never trained, but whose weights are all alive."""

from __future__ import annotations

from pathlib import Path

from legoc.build_directory import write_build
from legoc.driver import compile_spec
from legoc.spec import check_text
from legoc_runtime.checkpoint import Header, write_checkpoint
from tests.stacks import random_store

SPEC = """\
legoc: 1
name: small
grid: {height: 16, width: 8, channels: CHANNELS}
conditioning: {classes: CLASSES}
diffusion: edm
brick_defaults: {width: 16, heads: 2, depth: 1}
bricks:
  - {id: windows, size: 4, receptive_field: 2}
  - {id: parts, size: 8, receptive_field: 4}
  - {id: image, size: image, receptive_field: 4}
skip_policies:
  late: {image: "sigma < 0.3"}
  only_image: {windows: "progress >= 0", parts: "progress >= 0"}
sample: {steps: 5, guidance: GUIDANCEMORE}
"""


def spec_text(*, classes: int | None = 4, channels: int = 3, skip: str | None = None, sample: str = "") -> str:
    text = SPEC.replace("CHANNELS", str(channels))
    text = text.replace("CLASSES", "null" if classes is None else str(classes))
    text = text.replace("GUIDANCE", "1" if classes is None else "2").replace("MORE", f", {sample}" if sample else "")
    return text if skip is None else text.replace("receptive_field: 4}", f'receptive_field: 4, skip: "{skip}"}}', 1)


def write_run(directory: Path, text: str | None = None, *, images: int = 1000) -> Path:
    """Write a run with one checkpoint: raw weights and an EMA that differs from them."""
    spec = check_text(text or spec_text(), "small.yaml").spec
    assert spec is not None
    manifest, resolved = compile_spec(spec)
    write_build(manifest, resolved, directory)
    header = Header(resolved, manifest.spec_hash, images)
    files = {
        kind: dict(random_store(manifest.shape, seed=seed).weights)
        for seed, kind in enumerate(("weights", "ema-0.999"))
    }
    write_checkpoint(directory, header, files, {"step": 1})
    return directory
