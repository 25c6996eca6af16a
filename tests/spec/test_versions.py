"""Versions of the language: an old file is carried to the present one, a newer one is refused where it says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from legoc.spec import check_text, load_spec, versions
from legoc.spec.tree import MappingNode
from tests.spec.layered import BASE, codes, write

OLD = BASE.replace("legoc: 1", "legoc: 0").replace("bricks:", "stack:")


def stack_was_bricks(root: MappingNode) -> MappingNode:
    """The step from an invented version 0, in which `bricks` was called `stack`."""

    def renamed(name: str) -> str:
        return "bricks" if name == "stack" else name

    return replace(root, entries=tuple((replace(key, text=renamed(key.text)), value) for key, value in root.entries))


@pytest.fixture
def version_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(versions.MIGRATIONS, 0, stack_was_bricks)


@pytest.mark.usefixtures("version_0")
def test_an_old_file_is_read_in_its_own_version(tmp_path: Path) -> None:
    assert check_text(OLD, "t").spec == check_text(BASE, "t").spec
    (finding,) = check_text(OLD.replace("depth: 5", "dept: 5"), "t").diagnostics
    assert str(finding.primary and finding.primary.span) == "t:9:30"
    # a base may be older than what extends it, and one without a version is as old as that
    files = {"old.yaml": OLD, "fragment.yaml": "stack: [{id: image, depth: 9}]\n"}
    write(tmp_path, {**files, "new.yaml": "legoc: 1\nextends: old.yaml\nbricks: [{id: parts, depth: 9}]\n"})
    assert load_spec(tmp_path / "new.yaml").shape.brick("parts").depth == 9
    write(tmp_path, {"old_child.yaml": "legoc: 0\nextends: [old.yaml, fragment.yaml]\n"})
    assert load_spec(tmp_path / "old_child.yaml").shape.brick("image").depth == 9


@pytest.mark.usefixtures("version_0")
def test_words_of_another_version_are_unknown() -> None:
    assert "LG101" in codes(check_text(OLD.replace("legoc: 0", "legoc: 1"), "t"))


@pytest.mark.parametrize(
    ("version", "help"),
    [
        ("2", "a legoc newer than"),
        ("99999999999999999999", "a legoc newer than"),
        ("0", "write `legoc: 1`"),
        ("-1", "write"),
    ],
)
def test_a_version_that_this_legoc_does_not_read_is_refused_where_it_stands(version: str, help: str) -> None:
    text = BASE.replace("legoc: 1", f"legoc: {version}")
    (finding,) = check_text(text, "t").diagnostics
    assert finding.code == "LG107"
    assert help in str(finding.help)
    assert finding.primary is not None
    assert text[finding.primary.span.start : finding.primary.span.end] == version


def test_a_newer_base_is_refused_too(tmp_path: Path) -> None:
    write(tmp_path, {"base.yaml": BASE.replace("legoc: 1", "legoc: 2"), "child.yaml": "legoc: 1\nextends: base.yaml\n"})
    (finding,) = check_text("legoc: 1\nextends: base.yaml\n", str(tmp_path / "child.yaml")).diagnostics
    assert finding.code == "LG107"
    assert finding.primary is not None
    assert finding.primary.span.file.name == str(tmp_path / "base.yaml")
    assert [label.span.line for label in finding.secondary] == [2]
