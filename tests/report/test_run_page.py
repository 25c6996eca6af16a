"""The page of a run: curves and samples."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from legoc.__main__ import main
from tests.report.reading import page_of
from tests.report.runs import png, write_previews, write_run, write_samples
from tests.report.test_spec_page import HOSTILE, TINY, pictures


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_run(Path("work/run"), TINY.replace("train: {batch: 32,", "train: {batch: 32, images: 2000,"))


def test_how_far_it_came_stands_in_the_summary(run: Path) -> None:
    text = page_of(run).text
    assert "run report" in text
    assert "Images trained on 1,200 of 2,000" in text
    assert "Loss 0.0833 the last line of its metrics" in text
    assert "Time trained 24 s 50 images/s at the end" in text


def test_a_migrated_run_says_what_it_came_from(run: Path) -> None:
    record = run / "migration.json"
    assert "migrated from" not in page_of(run).text
    path = f"runs/{HOSTILE}/checkpoints/1"
    record.write_text(json.dumps({"source": {"path": path, "images": 1200, "spec_hash": "ab" * 32}}))
    assert f"migrated from {path} at 1,200 images, of the spec abababababababab" in page_of(run).text
    record.write_text("[]")
    assert main(["report", str(run), "-o", str(run.parent / "page.html")]) == 3


def test_the_loss_is_drawn_in_all_by_brick_and_by_noise_level(run: Path) -> None:
    page = page_of(run)
    drawn = pictures(page.page)[:3]
    assert [re.findall(r"<title>(.*?)</title>", svg)[0] for svg in drawn] == [
        "Training loss",
        "Loss by brick",
        "Training loss by noise level",
    ]
    assert "loss: from 1 at 100 images to 0.0833 at 1.2k<" in drawn[0]
    assert ">windows</text>" in drawn[1]
    assert ">sigma &lt;= 0.03</text>" in drawn[2]
    assert "12 lines of metrics.jsonl; checkpoints at 400 images." in page.text


def test_long_histories_are_drawn_as_means_and_say_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "long", TINY, lines=700)
    page = page_of(run)
    assert "each point the mean of 3 lines" in pictures(page.page)[0]
    assert "700 lines of metrics.jsonl" in page.text


def test_damaged_lines_are_counted_and_the_others_drawn(run: Path) -> None:
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('[]\n{"images": "x"}\n{"images": NaN}\n' + "[" * 100_000 + '\n{"images": 1300, "lo')
    text = page_of(run).text
    assert "12 lines of metrics.jsonl; 5 lines could not be read" in text


def test_names_in_metrics_and_records_are_text(run: Path) -> None:
    line = {"images": 1300, "loss": 1.0, "loss_by_brick": {HOSTILE + "\x01": 1.0}, "loss_by_noise": {"]]>": 2.0}}
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    request = {"seeds": HOSTILE, "policy": {"name": HOSTILE}, "settings": {"steps": HOSTILE}}
    write_samples(run / "samples" / "x", run, request=request)
    assert HOSTILE in page_of(run).text


def test_own_sets_are_shown_with_what_made_them(run: Path) -> None:
    write_samples(run / "samples" / "late", run)
    page = page_of(run)
    assert "Policy late seeds 0-15; 8 steps; guidance 1.5; weights after 400 images (weights); saved 25.0%" in page.text
    grid = next(image for image in page.all("img") if (image["src"] or "").startswith("data:image/png"))
    assert (grid["width"], grid["height"]) == ("480", "240")
    assert (grid["alt"] or "").startswith("Grid of pictures under policy late: seeds 0-15")


def test_grids_of_the_training_are_shown_from_the_first_to_the_last(run: Path) -> None:
    write_previews(run, *range(100, 1300, 100))
    (run / "previews" / "000000000100.png").unlink()
    with (run / "previews.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"images": 1300, "file": "../../secret.png"}) + "\n")
    page = page_of(run)
    shown = [image["alt"] for image in page.all("img") if (image["alt"] or "").startswith("Samples after")]
    assert shown == [f"Samples after {images} images" for images in ("300", "500", "800", "1,000", "1,200")]
    assert "There is no" not in page.text
    assert "No grid: there is no 000000000100.png that can be read." in page.text
    assert "6 of 12 grids in previews/" in page.text


def test_sets_beside_the_run_are_its_own_only_where_its_weights_made_them(run: Path) -> None:
    beside = run.parent / "samples"
    write_samples(beside / "halfway", run)
    source = {"spec_hash": json.loads((run / "manifest.json").read_text())["spec_hash"], "weights_sha256": "b2" * 32}
    write_samples(beside / "other", run, source=source)
    write_samples(beside / "stranger", run, source={"spec_hash": "c3" * 32})
    text = page_of(run).text
    assert "Policy halfway" in text
    assert "other" not in text
    assert "stranger" not in text


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (None, "No grid: there is no grid.png that can be read."),
        (b"<svg onload=alert(1)>" * 9, "No grid: grid.png is no PNG file."),
        (png(1, 1)[:20], "No grid: grid.png is no PNG file."),
        (png(1, 1) + bytes(4 * 2**20), "No grid: grid.png has 4 MiB, and a report takes up to 4."),
    ],
    ids=["none", "another file", "cut short", "too large"],
)
def test_a_grid_that_cannot_be_shown_is_said(run: Path, grid: bytes | None, words: str) -> None:
    write_samples(run / "samples" / "late", run, grid=grid)
    page = page_of(run)
    assert words in page.text
    assert "data:image/png" not in page.page


def test_a_damaged_state_and_odd_records_stop_nothing(run: Path) -> None:
    for name, text in (("1", "{"), ("2", '{"images": 1' + "0" * 4000 + "}"), ("3", '{"images": -1, "files": [1]}')):
        (run / "checkpoints" / name).mkdir()
        (run / "checkpoints" / name / "state.json").write_text(text, encoding="utf-8")
    skipped, timing = {"skipped": {"windows": "x"}}, {"macs_saved": "much"}
    write_samples(run / "samples" / "odd", run, request=[], source=None, policy=skipped, timing=timing)
    text = page_of(run).text
    assert "Images trained on 1,200 of 2,000" in text
    assert "odd" in text


def test_incomplete_and_damaged_sets_are_said(run: Path) -> None:
    write_samples(run / "samples" / "late", run, complete=False)
    write_samples(run / "samples" / "broken", run)
    (run / "samples" / "broken" / "samples.json").write_text("{", encoding="utf-8")
    text = page_of(run).text
    assert "This set is not complete." in text
    assert "broken samples.json cannot be read" in text


def test_a_build_that_was_never_trained_is_a_build(run: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.mkdir()
    for name in ("manifest.json", "spec.yaml"):
        (build / name).write_bytes((run / name).read_bytes())
    page = page_of(build)
    assert "build report" in page.text
    assert "Images trained on" not in page.text
    assert not [section for section in page.all("section") if section["id"] == "training"]
