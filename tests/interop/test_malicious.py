"""No file runs anything: each of a corpus of hostile ones is refused in words, and the canary stays away."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.interop.foreign import open_foreign
from legoc_runtime.errors import LegocError, RunError
from legoc_runtime.foreign import opcodes
from tests.interop.malicious import armed, corpus

CANARY = Path("canary")
CORPUS = corpus(CANARY)

UNPICKLE = """
import pathlib, pickle, sys
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    canary = pathlib.Path(sys.argv[2])
    canary.unlink(missing_ok=True)
    try:
        found = pickle.loads(path.read_bytes())
        getattr(found, "wait", lambda: None)()
    except Exception:
        pass
    if not canary.exists():
        print(path.name)
"""


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_a_hostile_file_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    path.write_bytes(CORPUS[name])
    with pytest.raises(LegocError) as refused:
        open_foreign(path)
    assert not CANARY.exists()
    assert str(path) in refused.value.message
    assert refused.value.help
    assert "Traceback" not in refused.value.message


def test_the_armed_ones_are_armed(tmp_path: Path) -> None:
    """Under Python's own unpickler each of them leaves the canary: the test above is not about empty threats."""
    canary, folder = tmp_path / "canary", tmp_path / "files"
    folder.mkdir()
    files = armed(canary)
    for name, data in files.items():
        (folder / name.replace(" ", "_")).write_bytes(data)
    result = subprocess.run(
        [sys.executable, "-c", UNPICKLE, folder, canary], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
    assert len(files) >= 20


def test_endless_instructions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcodes, "MAX_INSTRUCTIONS", 1000)
    path = tmp_path / "weights.pt"
    path.write_bytes(b"\x80\x02" + b"N0" * 1000 + b"N.")
    with pytest.raises(RunError, match="more than 1,000 instructions"):
        open_foreign(path)


def test_a_file_cut_short_anywhere(tmp_path: Path) -> None:
    """Every beginning of a whole file is refused in words."""
    import torch

    path = tmp_path / "weights.pt"
    for old in (False, True):
        torch.save({"a": torch.arange(3.0)}, path, _use_new_zipfile_serialization=not old)
        whole = path.read_bytes()
        for end in range(0, len(whole), 1 if old else 7):
            path.write_bytes(whole[:end])
            with pytest.raises(LegocError):
                open_foreign(path)


def test_files_with_flipped_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a file holds, it is read, or refused in words."""
    monkeypatch.chdir(tmp_path)
    path, chance = tmp_path / "weights.pt", random.Random(0)
    small = [data for data in CORPUS.values() if 0 < len(data) < 2000]
    for _ in range(600):
        data = bytearray(chance.choice(small))
        for _ in range(chance.choice((1, 2, 4))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        with suppress(LegocError):
            for tensor in open_foreign(path).tensors.values():
                tensor.read()
    assert not CANARY.exists()


def test_the_command_line_says_it_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pkl"
    path.write_bytes(CORPUS["posix.system"])
    assert main(["import", str(path), "-o", str(tmp_path / "run")]) == 3
    said = capsys.readouterr().err
    assert "`posix.system`" in said
    assert "nothing of it was run" in said
    assert not CANARY.exists()
    assert not (tmp_path / "run").exists()
