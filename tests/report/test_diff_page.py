"""The page of a comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from legoc.report.about_diff import MAX_PICTURED
from legoc.report.request import report_request
from legoc.review.render.words import ABOUT, TITLES
from legoc.review.rules import Impact
from tests.report.reading import page_of
from tests.report.test_spec_page import TINY, pictures
from tests.review.gallery import GALLERY
from tests.review.repository import Made


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def compared(before: str, after: str) -> tuple[str, str]:
    for name, text in (("a.yaml", before), ("b.yaml", after)):
        Path(name).write_text(text, encoding="utf-8")
    return "a.yaml", "b.yaml"


EXHIBITS = {exhibit.impact: exhibit for exhibit in reversed(GALLERY) if exhibit.edits}


@pytest.mark.parametrize("impact", EXHIBITS)
def test_the_worst_class_stands_on_top_with_its_sentence(impact: Impact) -> None:
    exhibit = EXHIBITS[impact]
    page = page_of(*compared(exhibit.base, exhibit.text))
    assert f"a.yaml → b.yaml {TITLES[impact]} {ABOUT[impact]} " in page.text
    assert [given for given in page.all("div") if given.get("class") == f"verdict {impact}"]


EMOJI = (Path(__file__).parents[2] / "specs" / "emoji_32.yaml").read_text(encoding="utf-8")
CHANGED = TINY.replace("depth: 2", "depth: 1").replace("sigma < 0.3", "sigma < 2").replace("lr: 1e-3", "lr: 1e-4")


def test_every_change_has_class_reason_and_both_lines_with_the_value_marked() -> None:
    page = page_of(*compared(TINY, CHANGED))
    assert (
        "~ bricks.image.depth 2 -> 1 breaks weights the trained blocks at the top have no place any more. "
        "was a.yaml:10:57 - {id: image, size: image, receptive_field: 4, depth: 2 } "
        "now b.yaml:10:57 - {id: image, size: image, receptive_field: 4, depth: 1 }"
    ) in page.text
    assert "<mark>2</mark>" in page.page
    assert "bricks.image.blocks.1.attn.proj.bias (64) is dropped" in page.text
    assert page.text.index("breaks weights the trained") < page.text.index("training only how weights are trained")


def test_a_value_that_nothing_says_is_the_default() -> None:
    page = page_of(*compared(TINY, TINY.replace("depth: 2}", "depth: 2, offset: 2}")))
    assert "was the default now b.yaml:10:" in page.text


def test_costs_stand_side_by_side_and_policies_step_by_step() -> None:
    page = page_of(*compared(TINY, CHANGED))
    assert "Parameters 206.9 k -26.5%, was 281.6 k" in page.text
    assert "3 changes: 1 breaks weights, 1 training only, 1 sampling only." in page.text
    assert "`late`" not in page.text
    assert "late now skips image at 4 of 8 steps, was 3" in page.text
    assert "1 figure as before" in page.text


def test_timelines_and_the_stack_are_drawn_before_and_after_with_changed_bricks_outlined() -> None:
    drawn = pictures(page_of(*compared(TINY, CHANGED)).page)
    assert len(drawn) == 4
    assert [svg.count('class="card changed"') for svg in drawn] == [0, 0, 1, 1]
    assert ">changed</text>" in drawn[2]


def test_new_bricks_and_those_that_go_are_told_apart() -> None:
    extra = TINY.replace("  - {id: image", "  - {id: mid, size: 16, receptive_field: 4, depth: 1}\n  - {id: image")
    new, gone = (pictures(page_of(*compared(*pair)).page) for pair in ((TINY, extra), (extra, TINY)))
    assert 'class="card new"' in new[-1]
    assert 'class="card gone"' in gone[-2]


def test_what_changes_nothing_in_the_stack_draws_no_stack() -> None:
    assert pictures(page_of(*compared(TINY, TINY.replace("lr: 1e-3", "lr: 1e-4"))).page) == []


def test_equal_specs_have_no_changes() -> None:
    page = page_of(*compared(TINY, TINY))
    assert "no changes in 1 spec" in page.text
    assert page.all("section") == []


def test_a_side_that_cannot_be_read_comes_first_and_nothing_is_concluded() -> None:
    names = compared(TINY, TINY.replace("heads: 4", "heads: 5"))
    assert report_request(names).unreadable
    text = page_of(*names).text
    assert "1 side cannot be compared, so nothing can be concluded." in text
    assert "error LG" in text
    assert "b.yaml:7:" in text


def test_revisions_have_an_overview_and_what_is_new_and_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made(tmp_path / "repository")
    names = [f"specs__s{i:02}" for i in range(MAX_PICTURED + 1)]
    made.write(**dict.fromkeys(names, TINY), specs__old=EMOJI)
    made.git("add", "-A")
    made.git("commit", "-qm", "one")
    changed = dict.fromkeys(names, TINY.replace("depth: 2", "depth: 3"))
    made.write(**changed | {"specs__s03": CHANGED}, specs__old=None, specs__new=TINY.replace("size: 8", "size: 16"))
    made.git("add", "-A")
    made.git("commit", "-qm", "two")
    monkeypatch.chdir(made.root)
    page = page_of("HEAD~1..HEAD", "specs/")
    assert "13 specs changed (1 breaks weights, 12 resumable)" in page.text
    rows = [given["href"] for given in page.all("a") if (given["href"] or "").startswith("#spec-")]
    assert rows[0] == "#spec-1-specs-s03-yaml"  # the worst first
    assert [given["href"] for given in page.all("a")][1:4] == ["#overview", "#new-specs-new-yaml", "#gone"]
    assert page.page.count("Its pictures are left out") == 1
    assert "New: specs/new.yaml" in page.text
    assert "Gone specs/old.yaml" in page.text


def test_names_of_bricks_revisions_and_values_are_text() -> None:
    one = TINY.replace("data: {path: examples/data/noto-emoji-32.zip}", "data: {path: '<script>x</script>'}")
    page = page_of(*compared(one, one.replace("<script>x", "<script>y")))
    assert "<script>y</script>" in page.text
