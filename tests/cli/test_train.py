from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc_runtime.checkpoint import checkpoints
from legoc_runtime.training.trainer import Trainer
from tests.image_sets import labelled_zip
from tests.training.conftest import one_thread as one_thread
from tests.training.tiny import SPEC


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a spec and images, as the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    labelled_zip(tmp_path / "data.zip")
    return tmp_path


TRAIN = ["train", "tiny.yaml", "--data", "data.zip", "--device", "cpu", "--backend", "eager"]
Read = Callable[[], tuple[str, str]]


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Read:
    """What the last command wrote to stdout and stderr."""
    return lambda: tuple(capsys.readouterr())  # type: ignore[return-value]


def signal_in_step(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    original, steps = Trainer.step, iter(range(1, 100))

    def interrupted(self: Trainer, batch: object) -> None:
        if next(steps) == step:
            signal.raise_signal(number)
        original(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "step", interrupted)


def test_the_run_holds_everything_and_stdout_the_checkpoint_alone(here: Path, read: Read) -> None:
    assert main(TRAIN) == 0
    out, err = read()
    assert out == "runs/tiny/checkpoints/000000000032\n"
    assert "data.zip: 10 RGB images of 8x8, 3 classes" in err
    assert "32 of 32 images, loss" in err
    run = here / "runs" / "tiny"
    assert (run / "spec.yaml").is_file()
    assert (run / "manifest.json").is_file()
    assert list((run / "modules").glob("training*.py"))


def test_without_argument_the_newest_build_is_taken_and_named(here: Path, read: Read) -> None:
    assert main(["build", "tiny.yaml"]) == 0
    assert main(["train", *TRAIN[2:], "--images", "4"]) == 0
    assert "taking build/tiny, the newest build" in read()[1]


def test_a_run_can_be_given_to_continue_it(here: Path, read: Read) -> None:
    assert main([*TRAIN, "--out", "mine", "--images", "8"]) == 0
    assert main(["train", "mine", *TRAIN[2:], "--images", "12"]) == 0
    out, err = read()
    assert out.splitlines()[-1] == "mine/checkpoints/000000000012"
    assert "continuing from mine/checkpoints/000000000008" in err
    assert not (here / "runs").exists()


def test_flags_go_before_the_spec_and_say_so(here: Path, read: Read) -> None:
    flags = ["--images", "0.01k", "--batch", "5", "--lr", "0.5", "--ema", "0.8", "--seed", "9", "--log-images", "5"]
    assert main([*TRAIN, *flags]) == 0
    out, err = read()
    assert out == "runs/tiny/checkpoints/000000000010\n"
    assert "images: 10 instead of the spec's 32" in err
    assert "learning_rate: 0.5 instead of the spec's 0.0001" in err
    assert "ema: 0.8 instead of the spec's 0.9 and 0.5" in err
    assert (here / out.strip() / "ema-0.8.safetensors").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_save_a_checkpoint_and_the_same_command_continues(
    here: Path, read: Read, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        signal_in_step(patch, 3, number)
        assert main(TRAIN) == code
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    out, err = read()
    assert out == "runs/tiny/checkpoints/000000000012\n"
    assert "stopping with a checkpoint" in err
    assert main(TRAIN) == 0
    assert read()[0] == "runs/tiny/checkpoints/000000000032\n"


def test_second_ctrl_c_stops_at_once(here: Path, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(self: Trainer, batch: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "step", twice)
    assert main(TRAIN) == 130
    assert checkpoints(here / "runs" / "tiny") == ()


def test_quiet_says_nothing_but_the_checkpoint(here: Path, read: Read) -> None:
    assert main([*TRAIN, "--images", "4", "--quiet"]) == 0
    assert read() == ("runs/tiny/checkpoints/000000000004\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "tiny.yaml"], "there are no images to train on"),
        (["train"], "there is no build"),
        ([*TRAIN, "--images", "many"], "--images many: expected a whole number"),
        ([*TRAIN, "--batch", "0"], "--batch 0: expected at least 1"),
        ([*TRAIN, "--ema", "1"], "ema rate is 1.0"),
        ([*TRAIN, "--data", "nowhere.zip"], "there is no image set at nowhere.zip"),
        ([*TRAIN, "--resume", "elsewhere"], "elsewhere is not a checkpoint"),
        ([*TRAIN, "--device", "tpu"], "there is no device `tpu`"),
        ([*TRAIN, "--backend", "magic"], "there is no backend `magic`"),
        ([*TRAIN, "--out", "tiny.yaml"], "tiny.yaml is not a directory"),
    ],
)
def test_bad_usage_ends_with_two_and_a_sentence(here: Path, read: Read, arguments: list[str], said: str) -> None:
    assert main(arguments) == 2
    out, err = read()
    assert (out, said in err) == ("", True), err
    assert not checkpoints(here / "runs" / "tiny")
    assert not (here / "runs" / "tiny" / "manifest.json").exists()


def test_full_disk_ends_with_three_and_the_last_checkpoint_stands(
    here: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.checkpoint.test_checkpoint import no_file_beyond

    assert main([*TRAIN, "--images", "8"]) == 0
    read()
    size = max(path.stat().st_size for path in (here / "runs/tiny/checkpoints/000000000008").glob("ema*"))
    with no_file_beyond(size - 1):
        assert main(TRAIN) == 3
    assert "000000000008, is untouched" in read()[1]
    assert main(TRAIN) == 0
