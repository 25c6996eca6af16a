"""A run as far as a report reads it: a build, metrics, states of checkpoints and sampled sets, without any weights."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

from legoc.describe import describe_spec
from legoc.spec import check_text
from legoc_runtime.contract.manifest import MANIFEST_NAME, SPEC_NAME


def png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


WEIGHTS = "a1" * 32
GRID = png(40, 20)


def write_run(directory: Path, spec: str, lines: int = 12) -> Path:
    """A run of a spec's text with so many lines of metrics and one checkpoint."""
    resolved = check_text(spec, "spec.yaml").spec
    assert resolved is not None
    manifest, text = describe_spec(resolved)
    directory.mkdir(parents=True)
    (directory / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
    (directory / SPEC_NAME).write_text(text, encoding="utf-8")
    said = [json.dumps(line_of(i, resolved.ids)) + "\n" for i in range(1, lines + 1)]
    (directory / "metrics.jsonl").write_text("".join(said), encoding="utf-8")
    checkpoint = directory / "checkpoints" / "000000000400"
    checkpoint.mkdir(parents=True)
    state = {"images": 400, "files": {"weights.safetensors": WEIGHTS}}
    (checkpoint / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return directory


def line_of(i: int, bricks: tuple[str, ...]) -> dict[str, Any]:
    """A line of metrics."""
    return {
        "images": 100 * i,
        "step": i,
        "loss": 1 / i,
        "loss_by_brick": {brick: 1 / i + k for k, brick in enumerate(bricks)},
        "loss_by_noise": {"sigma <= 0.03": None if i % 3 == 0 else 2 / i, "sigma > 0.03": 1 / i},
        "learning_rate": 1e-3,
        "grad_norm": 1.0,
        "images_per_second": 50.0,
        "seconds": 2.0 * i,
    }


def write_previews(run: Path, *images: int, grid: bytes = GRID) -> None:
    """Grids that the run drew while it trained."""
    (run / "previews").mkdir()
    said: list[str] = []
    for count in images:
        file = f"previews/{count:012d}.png"
        (run / file).write_bytes(grid)
        said.append(json.dumps({"images": count, "file": file}) + "\n")
    (run / "previews.jsonl").write_text("".join(said), encoding="utf-8")


def write_samples(folder: Path, run: Path, *, grid: bytes | None = GRID, **changes: Any) -> Path:
    """A set of pictures that the run's weights made; `changes` are of its record."""
    folder.mkdir(parents=True)
    manifest = json.loads((run / MANIFEST_NAME).read_text(encoding="utf-8"))
    record: dict[str, Any] = {
        "samples_version": 1,
        "complete": True,
        "request": {
            "seeds": "0-15",
            "settings": {"sampler": "heun", "steps": 8, "guidance": 1.5},
            "policy": {"name": folder.name, "skips": {}},
        },
        "source": {
            "spec_hash": manifest["spec_hash"],
            "weights_sha256": WEIGHTS,
            "images": 400,
            "kind": "weights",
        },
        "policy": {"skipped": {"windows": 0, "image": 3}},
        "timing": {"macs_saved": 0.25, "time_saved": 0.2},
    }
    (folder / "samples.json").write_text(json.dumps({**record, **changes}), encoding="utf-8")
    if grid is not None:
        (folder / "grid.png").write_bytes(grid)
    return folder
