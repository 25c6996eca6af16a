"""`legoc plot` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from legoc.__main__ import main
from tests.report.runs import write_previews, write_run
from tests.report.test_spec_page import TINY


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_run(Path("runs/tiny"), TINY)


def test_text_has_a_line_for_every_curve(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plot", str(run), "--ascii"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.isascii()
    titles = [line.split(",")[0] for line in out.splitlines() if "images" in line]
    assert titles == ["Training loss", "Loss by brick", "Training loss by noise level"]
    assert out.splitlines()[2].split()[-3:] == ["1", "0.08333", "0.08333"]


def test_without_a_run_the_newest_is_taken_and_named(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plot"]) == 0
    assert "taking runs/tiny" in capsys.readouterr().err


def test_a_picture_holds_every_plot_one_below_the_other(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plot", str(run), "-o", "loss.svg"]) == 0
    assert capsys.readouterr().out == "loss.svg\n"
    svg = ElementTree.parse("loss.svg").getroot()
    titles = [e.text for e in svg.iter("{http://www.w3.org/2000/svg}text") if e.get("class") == "title"]
    assert titles == ["Training loss", "Loss by brick", "Training loss by noise level"]
    assert len(svg.findall("{http://www.w3.org/2000/svg}g")) == 2


def test_json_has_the_points_and_a_line_cut_short_is_counted(run: Path, capsys: pytest.CaptureFixture[str]):
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"images": 13')
    assert main(["plot", str(run), "--json"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert data["plot_version"] == 1
    assert data["plots"][0]["curves"][0]["points"][0] == [100, 1]
    assert (data["lines"], data["unread"]) == (12, 1)
    assert "1 of the file's lines" in err


def test_grids_that_the_run_drew_are_named(run: Path, capsys: pytest.CaptureFixture[str]):
    write_previews(run, 100, 200)
    assert main(["plot", str(run)]) == 0
    assert "grids of samples at 2 places, the last runs/tiny/previews/000000000200.png" in capsys.readouterr().err
    assert main(["plot", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["previews"][0] == {"images": 100, "file": "previews/000000000100.png"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "loss.png"], "loss.png is not an SVG file"),
        (["--json", "--ascii"], "three forms of the same"),
    ],
)
def test_bad_usage_is_told(run: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main(["plot", str(run), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_what_has_no_metrics_is_refused_in_words(run: Path, capsys: pytest.CaptureFixture[str]):
    (run / "metrics.jsonl").write_text("", encoding="utf-8")
    assert main(["plot", str(run)]) == 2
    assert "runs/tiny has no metrics to draw" in capsys.readouterr().err
