"""Versions of the language: an old file is carried to the present one, a newer one is refused where it says so."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.diagnostics import SpecError
from legoc.spec import check_text, load_spec, resolved_yaml, versions
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


COMMENTED = """\
# a stack of long ago
legoc:   0   # the version before
name: base
grid: {height: 32,   width: 32, channels: 3}
conditioning: {classes: 9}
brick_defaults: {width: 192, heads: 6}
stack:   # once the word for `bricks`
  - {id: windows, size: 4, dept: 2}   # misspelt
  # the top
  - {id: image, size: image, depth: 5}
"""


@pytest.mark.usefixtures("version_0")
def test_an_old_file_is_mended_in_its_own_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(COMMENTED, encoding="utf-8")
    assert main(["check", "--fix", str(path)]) == 0
    mended = path.read_text(encoding="utf-8")
    assert mended == COMMENTED.replace("dept:", "depth:")  # every other byte is as it was
    assert "dept -> depth" in capsys.readouterr().err
    before = load_spec(path)
    assert before.ids == ("windows", "image")
    assert main(["show", "--resolved", str(path)]) == 0
    assert capsys.readouterr().out.startswith("legoc: 1\n")


@pytest.mark.usefixtures("version_0")
def test_an_old_file_is_laid_out_with_its_comments_and_its_version(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(COMMENTED.replace("dept:", "depth:"), encoding="utf-8")
    before = load_spec(path)
    assert main(["fmt", str(path)]) == 0
    laid_out = path.read_text(encoding="utf-8")
    for comment in re.findall(r"#.*", COMMENTED):
        assert comment in laid_out
    assert "legoc: 0" in laid_out
    assert "stack:" in laid_out
    assert "{height: 32, width: 32, channels: 3}" in laid_out
    assert resolved_yaml(load_spec(path)) == resolved_yaml(before)
    assert main(["fmt", "--check", str(path)]) == 0


@pytest.mark.usefixtures("version_0")
def test_overrides_are_in_the_present_words_whatever_the_file_is_in(tmp_path: Path) -> None:
    write(tmp_path, {"old.yaml": OLD})
    assert load_spec(tmp_path / "old.yaml", ["bricks.image.depth=9"]).shape.brick("image").depth == 9
    with pytest.raises(SpecError):
        load_spec(tmp_path / "old.yaml", ["stack.image.depth=9"])


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
