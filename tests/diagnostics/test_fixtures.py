"""Every code has a page, and a spec that shows it: `fixtures/LGnnn_what.yaml` with its full rendering in `.txt`.

LEGOC_UPDATE_GOLDEN=1 writes the renderings anew; read the difference before keeping it.
"""

import os
import re
from pathlib import Path

import pytest

from legoc.codes import CODES
from legoc.render import render_full
from legoc.spec import check_file

FIXTURES = Path(__file__).parent / "fixtures"
NO_SPEC_SHOWS = {"LG401"}  # a fault of the compiler
OVERRIDES = {"LG607_nothing_changes": ["bricks=[]"], "LG608_no_such_brick": ["bricks.2.depth=8"]}
"""Stem of a fixture -> the `--set` that it is checked with: what only the command line can say."""

SPECS = sorted(FIXTURES.glob("LG*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_fixture_yields_its_code_and_its_golden_text(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    result = check_file(path.name, OVERRIDES.get(path.stem, ()))
    assert {finding.code for finding in result.diagnostics} == {path.stem[:5]}
    assert (result.spec is None) == (CODES[path.stem[:5]].severity == "error")
    text, golden = render_full(result.diagnostics), path.with_suffix(".txt")
    if os.environ.get("LEGOC_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_code_has_a_fixture_and_every_golden_its_spec() -> None:
    assert {path.stem[:5] for path in SPECS} == set(CODES) - NO_SPEC_SHOWS
    assert {path.stem for path in FIXTURES.glob("*.txt")} == {path.stem for path in SPECS}


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page_with_its_fix(code: str) -> None:
    page = CODES[code].page
    assert page.startswith(f"# {code}: {CODES[code].title}")
    assert "## Example" in page
    assert "## Fix" in page
    assert len(page) > 250
    assert page.endswith("\n")
    assert not page.endswith("\n\n")


def test_no_page_without_its_code() -> None:
    pages = Path(__file__).parents[2] / "legoc" / "pages"
    assert {path.stem for path in pages.glob("*.md")} == set(CODES)


def test_every_code_that_the_compiler_names_is_declared() -> None:
    sources = (Path(__file__).parents[2] / "legoc").rglob("*.py")
    named = {code for source in sources for code in re.findall(r"\bLG\d{3}\b", source.read_text(encoding="utf-8"))}
    assert named <= set(CODES)
