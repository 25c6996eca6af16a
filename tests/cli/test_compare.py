"""`legoc compare` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from legoc.__main__ import main
from legoc.compare.runs import comparison_plots, read_runs
from tests.report.runs import line_of, write_run
from tests.report.test_spec_page import TINY


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.chdir(tmp_path)
    return str(write_run(Path("runs/long"), TINY)), str(write_run(Path("runs/short"), TINY, lines=6))


def hold_out(run: str) -> None:
    text = json.dumps(line_of(3, read_runs([Path(run)])[0].manifest.shape.ids)) + "\n"
    Path(run, "held_out.jsonl").write_text(text, encoding="utf-8")


def test_a_row_a_run_with_what_it_cost(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]):
    assert main(["compare", *runs]) == 0
    out, err = capsys.readouterr()
    head, long, short = out.splitlines()
    assert err == ""
    assert head.split()[:3] == ["run", "parameters", "MACs/image"]
    assert long.split()[0] == "long"
    assert long.split()[-6:] == ["0min", "24s", "50", "0.0833", long.split()[-2], "-"]
    assert "600" in short.split()


def test_json_and_markdown_say_the_same(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]):
    assert main(["compare", *runs, "--format", "json", "--paper"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["compare_version"] == 1
    assert [run["images"] for run in data["runs"]] == [1200, 600]
    assert data["runs"][0]["macs"] == 2 * data["runs"][1]["macs"] > 0
    assert {row["table"] for row in data["published"]} == {1, 2, 3}
    assert main(["compare", *runs, "--format", "markdown", "--paper"]) == 0
    table = capsys.readouterr().out
    assert "| long |" in table
    assert "2.05 | paper (arXiv 2310.06389) |" in table


def test_the_picture_has_images_time_and_macs(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]):
    assert main(["compare", *runs, "-o", "ab.svg"]) == 0
    svg = ElementTree.parse("ab.svg").getroot()
    titles = [e.text for e in svg.iter("{http://www.w3.org/2000/svg}text") if e.get("class") == "title"]
    assert titles == [f"Training loss over {axis}" for axis in ("images", "minutes of training", "MACs of training")]
    images, minutes, macs = comparison_plots(read_runs([Path(run) for run in runs]))
    assert images.curves[0].points[-1][0] == 1200
    assert minutes.curves[0].points[-1][0] == pytest.approx(24 / 60)
    assert macs.curves[0].points[-1][0] == 2 * macs.curves[1].points[-1][0]


def test_held_out_losses_are_drawn_where_all_runs_have_them(runs: tuple[str, str]):
    hold_out(runs[0])
    assert comparison_plots(read_runs([Path(run) for run in runs]))[0].title.startswith("Training")
    hold_out(runs[1])
    assert comparison_plots(read_runs([Path(run) for run in runs]))[0].title.startswith("Held-out")


def test_runs_of_another_loss_are_told_apart(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]):
    other = str(write_run(Path("runs/other"), TINY.replace("train: {", "train: {loss_weighting: min_snr, ", 1)))
    assert main(["compare", runs[0], other]) == 0
    assert "the specs differ in loss_weighting" in capsys.readouterr().err


@pytest.mark.parametrize(("windows", "image", "said"), [(2, 2, False), (2, 1, True), (0, 1, True)])
def test_other_shares_of_the_loss_are_told_apart(
    runs: tuple[str, str], windows: int, image: int, said: bool, capsys: pytest.CaptureFixture[str]
):
    text = TINY.replace("{id: windows,", f"{{id: windows, loss_weight: {windows},").replace(
        "{id: image,", f"{{id: image, loss_weight: {image},"
    )
    assert main(["compare", runs[0], str(write_run(Path("runs/other"), text))]) == 0
    assert ("the specs differ in loss_weight:" in capsys.readouterr().err) is said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs/long", "runs/long"], "a run is given twice"),
        (["runs/long", "-o", "ab.png"], "ab.png is not an SVG file"),
        (["runs/absent"], "runs/absent"),
    ],
)
def test_bad_usage_is_told(runs: tuple[str, str], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main(["compare", *arguments]) in (2, 3)
    assert words in capsys.readouterr().err
