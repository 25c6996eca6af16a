"""Folders of specs on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.build_directory import write_build
from legoc.driver import compile_path
from legoc.spec.find import specs_in

TINY = Path(__file__).parents[2] / "examples" / "tiny.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = TINY.read_text(encoding="utf-8")
    for name in ("a.yaml", "deep/down/b.yml", ".hidden/c.yaml", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "deep" / "base.yaml").write_text("brick_defaults: {width: 64}\n", encoding="utf-8")
    (tmp_path / "deep" / "image.yaml").write_bytes(b"\x89PNG\0")
    write_build(*compile_path(TINY), tmp_path / "build" / "tiny")
    return tmp_path


def test_whole_specs_count_and_builds_do_not(folder: Path) -> None:
    assert specs_in(folder) == [folder / "a.yaml", folder / "deep" / "down" / "b.yml"]


def test_check_and_fmt_take_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", ".", "a.yaml"]) == 0
    assert capsys.readouterr().err == "2 files checked: no problems\n"
    (folder / "deep" / "down" / "b.yml").write_text(
        TINY.read_text(encoding="utf-8").replace("heads: 4", "heads: 5"), encoding="utf-8"
    )
    assert main(["check", ".", "--format", "concise"]) == 1
    assert "deep/down/b.yml:" in capsys.readouterr().out
    build = (folder / "build" / "tiny" / "spec.yaml").read_bytes()
    assert main(["fmt", "."]) == 0
    assert capsys.readouterr().err == "formatted a.yaml\nformatted deep/down/b.yml\n"
    assert (folder / "build" / "tiny" / "spec.yaml").read_bytes() == build


@pytest.mark.parametrize(("command", "code"), [("check", 1), ("fmt", 2)])
def test_a_folder_without_specs_is_no_success(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, code: int
) -> None:
    (folder / "empty").mkdir()
    assert main([command, "a.yaml", "empty"]) == code
    assert "error[LG001]: this is a directory\n --> empty" in "".join(capsys.readouterr())
