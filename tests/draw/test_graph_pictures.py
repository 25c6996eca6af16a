"""The pictures that are committed are those that the commands on their page make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from legoc.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pictures.md").read_text(encoding="utf-8")
COMMANDS = [line.split()[1:] for line in PAGE.splitlines() if line.startswith("    legoc ")]

MEASURED = {"pictures/emoji_pr_32-policy-front.svg": "2026-11-23_policy-search-on-the-demo_2-core-cpu.md"}
"""Drawings of measurements, which nothing makes again to the byte, and the records that hold their numbers."""


def test_the_page_shows_every_drawing_and_no_other():
    made = {command[-1].removeprefix("docs/") for command in COMMANDS}
    shown = set(re.findall(r"\]\((pictures/.*?\.svg)\)", PAGE))
    assert shown == made | set(MEASURED)
    assert shown == {f"pictures/{path.name}" for path in (ROOT / "docs" / "pictures").glob("*.svg")}


@pytest.mark.parametrize("picture", MEASURED)
def test_a_measured_picture_ends_where_its_record_does(picture: str):
    described = re.search(r"<desc>(.*?)</desc>", (ROOT / "docs" / picture).read_text(encoding="utf-8"))
    record = (ROOT / "benchmarks" / MEASURED[picture]).read_text(encoding="utf-8")
    assert described is not None
    chosen = re.search(r"chosen: from (\S+) at (\S+) ", described[1])
    row = re.search(r"^\| searched, budget 0.5 \| (\S+) \| (\S+) ", record, re.MULTILINE)
    assert chosen is not None
    assert row is not None
    cost, error = map(float, row.groups())
    assert [float(chosen[2]), float(chosen[1])] == pytest.approx([cost, error], rel=0.01)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: Path(command[-1]).stem)
def test_a_picture_is_what_its_command_makes(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    fresh = tmp_path / Path(command[-1]).name
    assert main([*command[:-1], str(fresh)]) == 0
    again = f"make it again: legoc {' '.join(command)}"
    assert fresh.read_text(encoding="utf-8") == Path(command[-1]).read_text(encoding="utf-8"), again


def test_the_mermaid_text_is_what_its_command_makes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(ROOT)
    found = re.search(r"\(`legoc (graph [^`]*)`\):\n\n```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    assert main(found[1].split()) == 0
    assert capsys.readouterr().out == found[2]
