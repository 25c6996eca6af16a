"""Which checkpoints of a run stay."""

from __future__ import annotations

from pathlib import Path

from legoc_runtime.checkpoint import checkpoints, prune
from tests.checkpoint.test_checkpoint import write


def test_the_first_of_every_span_is_kept_however_often_others_go(tmp_path: Path) -> None:
    for images in range(4, 60, 4):
        write(tmp_path, images)
        prune(tmp_path, keep=2, every=10)
    assert [int(path.name) for path in checkpoints(tmp_path)] == [12, 20, 32, 40, 52, 56]
