"""Directories of studies: finished points stay, and nobody else's files are touched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from legoc.study.directory import RECORD_NAME, open_study
from legoc_runtime.errors import RunError, UsageError


@dataclass(frozen=True)
class Number:
    key: str
    value: float


ASKED = {"spec": "a", "seeds": "0-3"}


def write(path: Path) -> Path:
    with open_study(path, "skip", ASKED, Number) as study:
        study.add(Number("one", 1.0))
        study.add(Number("two", 2.0))
    return path


def test_points_are_there_when_it_is_opened_again(tmp_path: Path):
    with open_study(write(tmp_path / "a" / "b"), "skip", ASKED, Number) as study:
        assert list(study.points.values()) == [Number("one", 1.0), Number("two", 2.0)]
        assert json.loads(study.to_json(["two"], ["so"]))["points"] == [{"key": "two", "value": 2.0}]


def test_it_is_claimed_before_anything_is_measured(tmp_path: Path):
    with open_study(tmp_path, "skip", ASKED, Number):
        pass
    with (
        pytest.raises(UsageError, match='seeds "0-3", not "0-7"'),
        open_study(tmp_path, "skip", {**ASKED, "seeds": "0-7"}, Number),
    ):
        pass


def test_another_kind_of_study_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="another study: skip"), open_study(write(tmp_path), "refine", ASKED, Number):
        pass


def test_other_files_are_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds other files"), open_study(tmp_path, "skip", ASKED, Number):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_at_a_time_are_refused(tmp_path: Path):
    with (
        open_study(tmp_path, "skip", ASKED, Number),
        pytest.raises(UsageError, match="another process"),
        open_study(tmp_path, "skip", ASKED, Number),
    ):
        pass


@pytest.mark.parametrize("text", ["{", "[]", '{"study_version": 9}', "points"])
def test_a_damaged_record_is_said(tmp_path: Path, text: str):
    if text == "points":
        text = (write(tmp_path) / RECORD_NAME).read_text().replace('"value": 1.0', '"value": "much"')
    (tmp_path / RECORD_NAME).write_text(text)
    with pytest.raises(RunError, match=RECORD_NAME) as refused, open_study(tmp_path, "skip", ASKED, Number):
        pass
    # the record alone is not enough: the tables and pictures beside it would be taken for other files
    assert refused.value.help in (f"remove {tmp_path} to measure again", "choose another --out")
