"""`legoc show`, and `--set` on the commands that read specs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.spec import load_spec, resolved_yaml

ROOT = Path(__file__).parents[2]
EMOJI = str(ROOT / "specs" / "emoji_32.yaml")


def out_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0, capsys.readouterr().err
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_the_views(capsys: pytest.CaptureFixture[str]) -> None:
    assert out_of(capsys, "show", EMOJI) == resolved_yaml(load_spec(EMOJI))
    assert out_of(capsys, "show", EMOJI, "--resolved") == out_of(capsys, "show", EMOJI)
    rows = [line.split() for line in out_of(capsys, "show", EMOJI, "--origins").splitlines()]
    carry = next(i for i, line in enumerate(Path(EMOJI).read_text("utf-8").splitlines(), 1) if "carry:" in line)
    assert ["carry", "x0", f"{EMOJI}:{carry}:8"] in rows
    assert ["sample.churn", "0", "default"] in rows
    names = [line.split()[0] for line in out_of(capsys, "show", EMOJI, "--hash").splitlines()]
    assert names == ["architecture", "training", "sampling"]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(out_of(capsys, "show", EMOJI, "--json"))
    assert (whole["show_version"], whole["name"], whole["spec"]["bricks"][2]["size"]) == (1, "emoji_32", "image")
    values = json.loads(out_of(capsys, "show", EMOJI, "--origins", "--json", "--set", "sample.steps=20"))["values"]
    by_path = {value.pop("path"): value for value in values}
    by_path["carry"].pop("line")
    assert by_path["carry"] == {"value": "x0", "origin": "file", "file": EMOJI, "column": 8}
    assert by_path["train.seed"] == {"value": 0, "origin": "default", "file": None, "line": None, "column": None}
    assert (by_path["sample.steps"]["value"], by_path["sample.steps"]["origin"]) == (20, "set")
    assert len(json.loads(out_of(capsys, "show", EMOJI, "--hash", "--json"))["architecture"]) == 64


def test_two_views_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", EMOJI, "--hash", "--origins"]) == 2
    assert "one at a time" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["check"], ["show"], ["cost"], ["timeline"], ["build", "--dry-run"], ["train"]], ids=lambda c: c[0]
)
def test_commands_take_overrides_and_underline_them(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = main([*command, EMOJI, "--set", "sample.steps=12", "--set", "bricks.imge.depth=3"])
    assert code == (1 if command == ["check"] else 2)
    captured = capsys.readouterr()
    assert "error[LG608]: there is no brick `imge`" in captured.out + captured.err
    assert "1 | bricks.imge.depth=3" in captured.out + captured.err


def test_overrides_reach_what_commands_say(capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads(out_of(capsys, "cost", EMOJI, "--json"))
    after = json.loads(out_of(capsys, "cost", EMOJI, "--json", "--set", "bricks.image.depth=9"))
    assert after != before
    assert main(["build", EMOJI, "--dry-run", "--set", "name=renamed"]) == 0
    assert capsys.readouterr().out.startswith("renamed: ")


def test_builds_and_fixes_refuse_overrides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(tmp_path), "--set", "sample.steps=3"]) == 2
    assert "is not a build" in capsys.readouterr().err
    assert main(["check", "--fix", EMOJI, "--set", "sample.steps=3"]) == 2
    assert "leave one of them out" in capsys.readouterr().err


def test_show_needs_no_torch() -> None:
    code = f"import sys, legoc.__main__ as m\nm.main(['show', {EMOJI!r}, '--hash'])\nprint('torch' in sys.modules)"
    path = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"
