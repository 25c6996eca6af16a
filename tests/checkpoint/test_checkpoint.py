from __future__ import annotations

import errno
import os
import pickle
import resource
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from legoc_runtime.checkpoint import (
    Header,
    checkpoints,
    clean,
    find_weights,
    prune,
    read_state,
    read_tensors,
    verify,
    write_checkpoint,
)
from legoc_runtime.errors import LegocError, RunError, UsageError

TENSORS = {"a.weight": torch.arange(5000.0), "a.bias": torch.ones(())}


def write(run: Path, images: int, *, rates: tuple[str, ...] = ("0.999", "0.9"), final: bool = False) -> Path:
    emas: dict[str, dict[str, Tensor]] = {
        f"ema-{rate}": {key: tensor * float(rate) for key, tensor in TENSORS.items()} for rate in rates
    }
    files = {"weights": TENSORS, **emas, "optimizer": {"step/a.bias": torch.ones(())}}
    return write_checkpoint(run, Header("name: x\n", "hash", images), files, {"final": final, "rate": 0.1})


@contextmanager
def no_file_beyond(size: int) -> Generator[None]:
    """The system refuses to let a file grow beyond `size` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_checkpoint_says_what_it_is(tmp_path: Path) -> None:
    checkpoint = write(tmp_path, 12_800)
    assert checkpoint == tmp_path / "checkpoints" / "000000012800"
    with safe_open(checkpoint / "ema-0.9.safetensors", framework="pt") as file:
        assert file.metadata() == {
            "legoc.spec": "name: x\n",
            "legoc.spec_hash": "hash",
            "legoc.images": "12800",
            "legoc.kind": "ema-0.9",
        }
    state = verify(checkpoint)
    assert (state["images"], state["rate"]) == (12_800, 0.1)
    assert list(state["files"]) == [f"{kind}.safetensors" for kind in ("weights", "ema-0.999", "ema-0.9", "optimizer")]


def test_files_are_as_readable_as_the_users_other_files(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in (*write(tmp_path, 1).iterdir(), tmp_path / "other")}
    assert len(modes) == 1


def test_full_disk_is_a_run_error_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    first = write(tmp_path, 1)
    with (
        no_file_beyond(10_000),
        pytest.raises(RunError, match=r"cannot be written: .*000000000001, is untouched") as error,
    ):
        write(tmp_path, 2)
    assert error.value.exit_code == 3
    assert "--resume auto" in (error.value.help or "")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000000000001"]
    verify(first)


@pytest.mark.parametrize("call", range(1, 8))
def test_a_cut_at_any_moment_never_leaves_half_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """The process dies at the call-th time that it waits for the disk: what is left are whole checkpoints only."""
    write(tmp_path, 1)
    sync, calls = os.fsync, 0

    def die(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise SystemExit  # no `except OSError` clears up after a kill
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(SystemExit):
        write(tmp_path, 2)
    monkeypatch.undo()
    found = checkpoints(tmp_path)
    assert [path.name for path in found][:1] == ["000000000001"]
    for checkpoint in found:
        verify(checkpoint)
    clean(tmp_path)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {path.name for path in found}
    verify(write(tmp_path, 2))


def test_disk_error_names_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device"):
        write(tmp_path, 1)
    assert checkpoints(tmp_path) == ()


def test_the_last_three_and_final_ones_are_kept(tmp_path: Path) -> None:
    for images in range(1, 7):
        write(tmp_path, images, final=images == 2)
    prune(tmp_path)
    assert [int(path.name) for path in checkpoints(tmp_path)] == [2, 4, 5, 6]


def test_order_is_that_of_images_also_past_twelve_digits(tmp_path: Path) -> None:
    for images in (10**12, 999_999_999_999):
        write(tmp_path, images)
    assert [int(path.name) for path in checkpoints(tmp_path)] == [999_999_999_999, 10**12]


@pytest.mark.parametrize(
    ("ema", "kind", "factor"),
    [(None, "ema-0.999", 0.999), ("none", "weights", 1.0), ("0.9", "ema-0.9", 0.9), ("0.90", "ema-0.9", 0.9)],
)
def test_weights_are_found_by_run_and_by_checkpoint(tmp_path: Path, ema: str | None, kind: str, factor: float) -> None:
    write(tmp_path, 1)
    newest = write(tmp_path, 2)
    for path in (tmp_path, newest):
        file = find_weights(path, ema=ema)
        assert (file.path, file.kind) == (newest / f"{kind}.safetensors", kind)
        assert (file.spec_text, file.spec_hash, file.images) == ("name: x\n", "hash", 2)
    assert torch.equal(read_tensors(file)["a.weight"], TENSORS["a.weight"] * factor)


def test_an_average_that_is_gone_is_missing_not_damaged(tmp_path: Path) -> None:
    checkpoint = write(tmp_path, 1)
    (checkpoint / "ema-0.9.safetensors").unlink()
    with pytest.raises(RunError, match=r"ema-0\.9\.safetensors is missing$"):
        find_weights(checkpoint, ema="0.9")


def test_run_without_averages_gives_its_raw_weights(tmp_path: Path) -> None:
    write(tmp_path, 1, rates=())
    assert find_weights(tmp_path).kind == "weights"
    with pytest.raises(UsageError, match=r"has no EMA of rate 0\.5"):
        find_weights(tmp_path, ema="0.5")


def test_single_file_can_be_taken_away_from_its_run(tmp_path: Path) -> None:
    path = (write(tmp_path / "run", 1) / "ema-0.9.safetensors").rename(tmp_path / "mine.safetensors")
    file = find_weights(path)
    assert file.kind == "ema-0.9"
    assert read_tensors(file).keys() == TENSORS.keys()
    with pytest.raises(UsageError, match="there is no EMA to choose"):
        find_weights(path, ema="none")


def test_flipped_byte_is_found_when_weights_are_read(tmp_path: Path) -> None:
    file = find_weights(write(tmp_path, 1))
    content = bytearray(file.path.read_bytes())
    content[-1] ^= 1
    file.path.write_bytes(bytes(content))
    with pytest.raises(RunError, match="does not have the checksum"):
        read_tensors(file)


def test_what_is_no_weights_file_says_so(tmp_path: Path) -> None:
    whole = find_weights(write(tmp_path, 1)).path.read_bytes()
    save_file({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    torch.save({"a": torch.ones(1)}, tmp_path / "torch.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "text.yaml").write_text("legoc: 1")
    said = {
        "foreign.safetensors": "not weights of legoc",
        "torch.pt": "is a pickle",
        "plain.pkl": "is a pickle",
        "cut.safetensors": "is damaged",
        "empty.safetensors": "is damaged",
    }
    for name, message in said.items():
        with pytest.raises(RunError, match=message) as error:
            find_weights(tmp_path / name)
        assert error.value.help, name
    with pytest.raises(UsageError, match="no weights file"):
        find_weights(tmp_path / "text.yaml")


def test_directories_without_weights_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "manifest.json").write_text("{}")
    for path, message in (
        (tmp_path / "nothing", "there are no weights at"),
        (tmp_path, "is neither a run nor a checkpoint"),
        (tmp_path / "build", "has no checkpoint yet"),
    ):
        with pytest.raises(UsageError, match=message):
            find_weights(path)


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-30], lambda text: "[]", lambda text: text.replace('"images": 1', '"images": 2')]
)
def test_damaged_state_is_refused(tmp_path: Path, damage) -> None:
    path = write(tmp_path, 1) / "state.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(LegocError, match=r"state\.json"):
        read_state(path.parent)
