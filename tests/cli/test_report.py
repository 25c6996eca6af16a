"""`legoc report` as a user runs it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from legoc.__main__ import main
from tests.architecture.test_imports import ENVIRONMENT
from tests.report.test_diff_page import CHANGED
from tests.report.test_spec_page import TINY


@pytest.fixture(autouse=True)
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("a", TINY), ("b", CHANGED), ("broken", TINY.replace("heads: 4", "heads: 5"))):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_page_is_named_after_the_spec_and_its_path_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "a.yaml"]) == 0
    assert capsys.readouterr() == ("tiny-report.html\n", "")
    assert Path("tiny-report.html").read_text(encoding="utf-8").startswith("<!doctype html>\n<html lang=")


def test_a_comparison_goes_where_it_is_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "a.yaml", "b.yaml", "-o", "c.htm"]) == 0
    assert capsys.readouterr().out == "c.htm\n"
    assert "breaks weights" in Path("c.htm").read_text(encoding="utf-8")


def test_a_spec_on_standard_input_and_set(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TINY.encode())))
    assert main(["report", "-", "--set", "name=mine"]) == 0
    assert capsys.readouterr().out == "mine-report.html\n"
    assert "--set" in Path("mine-report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument"),
        (["a.yaml", "-o", "a.yaml"], "a.yaml is not an HTML file"),
        (["a.yaml", "b.yaml", "a.yaml"], "3 things to compare, and a comparison has two sides"),
        (["broken.yaml"], "error[LG2"),
        (["nothing.yaml"], "nothing.yaml"),
        (["a.yaml", "b.yaml", "--set", "name=x"], "--set is for one spec"),
    ],
)
def test_bad_usage_is_told_and_writes_nothing(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], specs: Path
) -> None:
    before = (specs / "a.yaml").read_text(encoding="utf-8")
    assert main(["report", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words.lower() in err.lower()
    assert (specs / "a.yaml").read_text(encoding="utf-8") == before
    assert not list(specs.glob("*.html"))


def test_a_side_that_cannot_be_read_is_told_in_the_page_and_by_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", "a.yaml", "broken.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == "comparison-report.html\n"
    assert "nothing can be concluded" in err
    assert "cannot be compared" in Path("comparison-report.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_leaves_nothing_behind(capsys: pytest.CaptureFixture[str], specs: Path) -> None:
    (specs / "folder.html").mkdir()
    assert main(["report", "a.yaml", "-o", "folder.html"]) == 3
    assert main(["report", "a.yaml", "-o", "no/where.html"]) == 3
    assert "cannot be written" in capsys.readouterr().err
    assert {path.name for path in specs.iterdir()} == {"a.yaml", "b.yaml", "broken.yaml", "folder.html"}


def test_it_needs_no_torch(specs: Path) -> None:
    code = "import sys; from legoc.__main__ import main; main(['report', 'a.yaml', 'b.yaml'])"
    code += "; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=specs, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "tiny-report.html\nFalse\n"
