"""A traceback never reaches the user: a command says in words what is wrong with a spec, the data or a checkpoint."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from legoc.__main__ import main
from tests.cli.small_run import spec_text, write_run
from tests.image_sets import encoded, labelled_zip, picture, write_zip
from tests.training.tiny import SPEC

SPECS: dict[str, bytes | None] = {
    "a directory": None,
    "empty": b"",
    "binary": bytes(range(256)) * 8,
    "not UTF-8": "legoc: 1\nname: caf\xe9\n".encode("latin-1"),
    "a list": b"- legoc: 1\n- name: x\n",
    "a number": b"42\n",
    "cut in the middle": b"legoc: 1\nbricks: [{id: a, si",
    "a bomb": b"a: &a [x, x]\n" + b"\n".join(f"b{i}: &b{i} [*a, *a]".encode() for i in range(50)),
    "deep": b"[" * 50_000,
}


@pytest.mark.parametrize("command", ["check", "build", "cost", "timeline", "train"])
@pytest.mark.parametrize("kind", SPECS)
def test_what_is_no_spec(kind: str, command: str, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "spec.yaml"
    if (content := SPECS[kind]) is None:
        spec.mkdir()
    else:
        spec.write_bytes(content)
    code = main([command, "spec.yaml"])
    said = "".join(capsys.readouterr())
    assert code == (1 if command == "check" else 2), said
    assert "spec.yaml" in said
    assert "Traceback" not in said
    assert "internal error" not in said
    assert not (tmp_path / "build").exists()
    assert not (tmp_path / "runs").exists()


def test_streams_that_the_shell_closed_are_no_bug_of_ours(tmp_path: Path, capsys, monkeypatch):
    spec = tmp_path / "tiny.yaml"
    spec.write_text(spec_text(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["check", "-"]) == 1
    assert "<stdin>" in capsys.readouterr().out  # nothing to read is an empty spec
    for closed in (["stdout"], ["stderr"], ["stdout", "stderr"]):
        with monkeypatch.context() as patch:
            for stream in closed:
                patch.setattr(sys, stream, None)
            codes = [main([command, str(spec)]) for command in ("check", "cost")]
        assert codes == [0, 0], closed
    assert "internal error" not in "".join(capsys.readouterr())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def without_labels(path: Path) -> None:
    write_zip(path, {f"{i}.png": encoded(picture(i)) for i in range(10)})


def another_size(path: Path) -> None:
    labelled_zip(path, size=(16, 8))


def one_of_another_size(path: Path) -> None:
    members = {f"{i}.png": encoded(picture(i, (8, 8) if i != 7 else (9, 8))) for i in range(10)}
    write_zip(path, members, [[name, 0] for name in members])


def a_class_too_many(path: Path) -> None:
    labelled_zip(path, classes=9)


def no_images(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("dataset.json", json.dumps({"labels": []}))


def missing(path: Path) -> None:
    path.unlink()


DATA = {
    cut: "data.zip",
    without_labels: "label",
    another_size: "16x8",
    one_of_another_size: "7.png",
    a_class_too_many: "class",
    no_images: "no image",
    missing: "data.zip",
}


@pytest.mark.parametrize("damage", DATA, ids=lambda damage: damage.__name__)
def test_what_is_no_data(damage, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    damage(labelled_zip(tmp_path / "data.zip"))
    code = main(["train", "tiny.yaml", "--data", "data.zip", "--backend", "eager"])
    said = capsys.readouterr().err
    assert code in (2, 3), said
    assert DATA[damage] in said
    assert "Traceback" not in said
    assert "internal error" not in said


def test_a_checkpoint_of_another_spec(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = write_run(tmp_path / "runs" / "small")
    theirs = write_run(tmp_path / "other", spec_text(channels=1))
    for name in ("weights", "ema-0.999"):
        file = f"checkpoints/000000001000/{name}.safetensors"
        shutil.copy(theirs / file, ours / file)
    code = main(["sample", "runs/small", "--seeds", "0", "--backend", "eager", "--skip-policy", "none"])
    said = capsys.readouterr().err
    assert code in (2, 3), said
    assert "spec" in said
    assert "internal error" not in said
    assert not list(tmp_path.rglob("*.png"))
