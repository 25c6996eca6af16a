"""The pictures that are committed are those that the commands on their page make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from legoc.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pictures.md").read_text(encoding="utf-8")
COMMANDS = [line.split()[1:] for line in PAGE.splitlines() if line.startswith("    legoc ")]


def test_the_page_shows_every_drawing_and_no_other():
    made = {command[-1].removeprefix("docs/") for command in COMMANDS}
    assert made == set(re.findall(r"\]\((pictures/.*?\.svg)\)", PAGE))
    assert made == {f"pictures/{path.name}" for path in (ROOT / "docs" / "pictures").glob("*.svg")}


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
