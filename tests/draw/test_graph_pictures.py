"""The pictures that are committed are those that the commands on their page make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from legoc.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pictures.md").read_text(encoding="utf-8")
COMMANDS = [line.split()[1:] for line in PAGE.splitlines() if line.startswith("    legoc ")]

MEASURED = {
    "pictures/breaks-bricks.svg": "2026-11-24_breaks_2-core-cpu.md",
    "pictures/breaks-schedules.svg": "2026-11-24_breaks_2-core-cpu.md",
    "pictures/emoji_pr_32-policy-front.svg": "2026-11-23_policy-search-on-the-demo_2-core-cpu.md",
    "pictures/emoji_pr_32-study-refine.svg": "2026-11-24_study-refine_2-core-cpu.md",
    "pictures/emoji_pr_32-study-skip.svg": "2026-11-24_study-skip_2-core-cpu.md",
}
"""Drawings of measurements, which nothing makes again to the byte, and the records that hold their numbers."""

ROUNDING = 0.01
"""How far, as a share, a number of a picture may lie from that of a table: both are rounded."""


def test_the_page_shows_every_drawing_and_no_other():
    made = {command[-1].removeprefix("docs/") for command in COMMANDS}
    shown = set(re.findall(r"\]\((pictures/.*?\.svg)\)", PAGE))
    assert shown == made | set(MEASURED)
    assert shown == {f"pictures/{path.name}" for path in (ROOT / "docs" / "pictures").glob("*.svg")}


@pytest.mark.parametrize("picture", MEASURED)
def test_a_measured_picture_begins_and_ends_where_its_record_does(picture: str):
    described = re.search(r"<desc>(.*?)</desc>", (ROOT / "docs" / picture).read_text(encoding="utf-8"))
    record = (ROOT / "benchmarks" / MEASURED[picture]).read_text(encoding="utf-8")
    rows = [re.findall(r"\d+(?:\.\d+)?", line) for line in record.splitlines() if line.lstrip().startswith("|")]
    table = [[float(number) for number in row] for row in rows]
    assert described is not None
    curves = re.findall(r"from (\S+) at (\S+) .+? to (\S+) at ([\d.]*\d)", described[1])
    assert curves
    for value, place in [end for first, at, last, there in curves for end in ((first, at), (last, there))]:
        wanted = [pytest.approx(number, rel=ROUNDING, abs=1e-9) for number in (float(value), float(place))]
        assert any(all(number in row for number in wanted) for row in table), f"no row has {value} at {place}"


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
