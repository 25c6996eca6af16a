"""What a migration left behind is read with suspicion: what makes no sense is damage, and never a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from legoc.build_directory import write_build
from legoc.driver import compile_spec
from legoc.inspection.find import inspect_path
from legoc.inspection.origins import HEADER_KEY, origin_of_header, origin_of_state
from legoc.inspection.report import CheckpointFacts, FileFacts, Inspection, Origin
from legoc.inspection.table import table
from tests.review.gallery import ONE, resolved

MADE = {"spec_hash": "a" * 64, "images": 7, "path": "runs/a\x1b[31m"}


def test_an_origin_is_told_in_words_that_show_every_character() -> None:
    origin = origin_of_state({"migrated_from": MADE})
    assert origin == Origin("a" * 64, 7, "runs/a\x1b[31m")
    facts = CheckpointFacts("c", 7, False, ("weights",), (FileFacts("w", 1),), True, None, origin)
    words = "  migrated from runs/a<U+001B>[31m at 7 images, of the spec aaaaaaaaaaaaaaaa\n"
    assert words in table(Inspection("checkpoint", "c", checkpoints=(facts,)))


def test_what_was_trained_as_it_is_has_no_origin() -> None:
    assert origin_of_state({}) is origin_of_state({"migrated_from": None}) is origin_of_header({}) is None


@pytest.mark.parametrize("origin", [[], "x", {}, {**MADE, "images": "7"}, {**MADE, "path": 3}])
def test_an_origin_that_makes_no_sense_is_an_error(origin: object) -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        origin_of_state({"migrated_from": origin})
    with pytest.raises(ValueError, match="makes no sense"):
        origin_of_header({HEADER_KEY: json.dumps(origin)})


def test_a_record_that_makes_no_sense_is_a_fault_of_its_run(tmp_path: Path) -> None:
    write_build(*compile_spec(resolved(ONE)), tmp_path / "run")
    for text in ("[]", "{", '{"source": {}}'):
        (tmp_path / "run" / "migration.json").write_text(text, encoding="utf-8")
        found = inspect_path(tmp_path / "run")
        assert found.migrated_from is None
        assert any("migration.json" in fault for fault in found.damage), text
