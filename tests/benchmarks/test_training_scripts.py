"""The scripts that time training run, and their records say what `benchmarks/README.md` asks for."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from legoc_runtime.errors import UsageError

ROOT = Path(__file__).parents[2]
COMMON = ["--data", str(ROOT / "examples/data/noto-emoji-32.zip"), "--backend", "eager", "--batch", "2"]
QUICK = ["--steps", "1", "--rounds", "1"]


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a script finds the modules beside it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))


def test_patch_sampling_writes_a_record_and_its_curves(tmp_path: Path) -> None:
    out = tmp_path / "saved"
    script("patch_sampling")["main"]([str(ROOT / "examples/tiny.yaml"), *COMMON, *QUICK, "--no-memory", "-o", str(out)])
    record = out.with_suffix(".md").read_text()
    rows = [line.split(" | ") for line in record.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert [row[0] for row in rows] == ["| 1", "| 0.75", "| 0.5", "| 0.25"]
    macs = [float(row[4]) for row in rows]
    assert macs[0] == 1.0
    assert macs == sorted(macs, reverse=True)
    assert all(f"\n{part}. **" in record for part in range(1, 8))
    assert ElementTree.fromstring(out.with_suffix(".svg").read_text()).tag.endswith("svg")


@pytest.mark.parametrize("name", ["patch_sampling", "training_peer"])
def test_images_that_do_not_fit_the_stack_are_refused_before_anything_runs(name: str, tmp_path: Path) -> None:
    words = [str(ROOT / "examples/tiny.yaml"), "--set", "grid.channels=4", *COMMON, *QUICK, "-o", str(tmp_path / "x")]
    with pytest.raises(UsageError, match="images of 3 channels, the stack has 4"):
        script(name)["main"](words)


def test_the_memory_of_a_step_is_that_of_its_largest_moment() -> None:
    class Step:
        def run(self, steps: int) -> None:
            for _ in range(steps):
                held = [torch.zeros(2**18) for _ in range(3)]
                del held

    assert script("training_steps")["peak_bytes"](Step(), torch.device("cpu")) == pytest.approx(3 * 2**20, rel=0.02)


def test_the_stack_by_hand_has_the_losses_of_legoc(tmp_path: Path) -> None:
    """On all windows, from the same weights and batches: the peer trains what legoc trains."""
    found = script("training_peer")
    args = {
        "spec": ROOT / "examples/tiny.yaml",
        "set": [],
        "batch": 2,
        "share": 1.0,
        "backend": "eager",
        "precision": "float32",
    }
    namespace = type("Given", (), args)()
    data = found["open_dataset"](Path(COMMON[1]))
    rows = found["subjects"](namespace, data, torch.device("cpu"))
    assert len(rows) == 7
    trainer = rows["legoc on all windows"].trainer
    batch = trainer.maker.make(0, 2)
    by_hand = rows[found["BY_HAND"]]._stack
    with torch.no_grad():
        losses = trainer.measure(batch)
        made = by_hand.estimates(batch.noisy, batch.sigma, batch.labels)
    for brick, estimate in zip(losses, made, strict=True):
        expected = trainer._objective.loss(estimate, batch.clean, batch.sigma, None, None)
        torch.testing.assert_close(brick, expected, rtol=1e-4, atol=1e-5)
    for row in rows.values():
        row.run(1)


def test_the_own_block_of_no_spec_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        script("own_block")["main"]([str(tmp_path / "nowhere.yaml")])
    assert "error[LG001]" in str(ended.value.code)
