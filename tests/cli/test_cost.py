"""`legoc cost` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from legoc.__main__ import main

ROOT = Path(__file__).parents[2]
TINY = ROOT / "examples" / "tiny.yaml"
U_XL = ROOT / "specs" / "lego_u_xl.yaml"


def test_table_on_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(U_XL)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith("lego_u_xl: 32x32x4, 1000 classes, 1.26 B parameters\n")
    for brick in ("coarse", "parts", "detail", "regroup", "top"):
        assert f"\n{brick} " in captured.out
    assert "vs DiT-XL/2: against its 118.6 G MACs a forward on this grid" in captured.out
    for policy in ("none", "halfway", "default", "lean"):
        assert f"\n{policy} " in captured.out


def test_batch_multiplies_activations_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for batch in ("1", "1000"):
        assert main(["cost", str(TINY), "--batch", batch]) == 0
        shown.append(capsys.readouterr().out.split("memory, by formula"))
    assert shown[0][0] == shown[1][0]
    rows = [[line.split() for line in memory.splitlines() if line] for _, memory in shown]
    changed = [one[0].rstrip(",") for one, many in zip(*rows, strict=True) if one != many]
    assert changed == ["sampling", "training"]


def test_json_says_batch_rows_and_units(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[dict[str, Any]] = []
    for batch in (1, 10):
        assert main(["cost", str(U_XL), "--batch", str(batch), "--guidance", "2", "--json"]) == 0
        shown.append(json.loads(capsys.readouterr().out))
    one, ten = shown
    assert (one["batch"], one["rows"], ten["batch"], ten["rows"]) == (1, 2, 10, 20)
    assert ten["memory"] == one["memory"]
    for kind in ("sampling_activations", "training_activations"):
        assert ten["batch_memory"][kind] == {p: 10 * size for p, size in one["batch_memory"][kind].items()}
    assert ten["units"]["rows"].startswith("rows of a forward pass")
    assert ten["flops"] == 2 * ten["macs"]


def test_a_policy_given_twice_is_one_row_and_has_two_spellings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(TINY), "--policy", "late", "--skip-policy", "late", "--json"]) == 0
    assert [policy["policy"] for policy in json.loads(capsys.readouterr().out)["policies"]] == ["late"]


def test_json_prices_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--json", "--steps", "10", "--guidance", "1", "--skip-policy", "late", "--skip-policy", "halfway:0.4"]
    assert main(["cost", str(TINY), *options]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["cost_version"] == 1
    assert (data["steps"], data["evaluations"], data["guided"]) == (10, 19, False)
    assert [policy["policy"] for policy in data["policies"]] == ["late", "halfway:0.4"]
    assert data["policies"][1]["skipped"] == {"image": 4}
    assert data["parameters"] == sum(b["parameters"] for b in data["bricks"]) + data["shared_parameters"]


def test_a_spec_that_does_not_check_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(TINY.read_text(encoding="utf-8").replace("heads: 4", "heads: 5"), encoding="utf-8")
    assert main(["cost", str(spec)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error[LG203]" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--skip-policy", "nope"], "there is no skip policy `nope`"),
        (["--skip-policy", "halfway:2"], "the share of steps must be a number from 0 to 1"),
        (["--steps", "1"], "a schedule needs 2 to"),
        (["--steps", "-1"], "a schedule needs 2 to"),
        (["--guidance", "nan"], "guidance must be 0 or more, got nan"),
        (["--guidance", "-1"], "guidance must be 0 or more, got -1"),
        (["--guidance", "inf"], "guidance must be 0 or more, got inf"),
        (["--batch", "0"], "--batch"),
        (["--layers", "4"], "--layers"),
    ],
)
def test_bad_requests_exit_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(TINY), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"  # any import of torch now fails
        "from legoc.__main__ import main\n"
        f"sys.exit(main(['cost', {str(TINY)!r}]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
