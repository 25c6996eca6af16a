"""Continuing a run: exact, or refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from legoc_runtime.checkpoint import checkpoints, read_state
from legoc_runtime.checkpoint.layout import write_state
from legoc_runtime.checkpoint.tensorfile import load
from legoc_runtime.data import open_dataset
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.training import Quiet
from tests.image_sets import labelled_zip
from tests.training.tiny import tiny_build, train_tiny


def assert_same_tensors(one: Path, other: Path) -> None:
    names = sorted(path.name for path in one.glob("*.safetensors"))
    assert names == ["ema-0.5.safetensors", "ema-0.9.safetensors", "optimizer.safetensors", "weights.safetensors"]
    for name in names:
        left, right = load(one / name), load(other / name)
        assert left.keys() == right.keys()
        for key in left:
            assert torch.equal(left[key], right[key]), f"{name}: {key}"


def lines(run: Path) -> list[dict[str, object]]:
    timed = ("images_per_second", "seconds")
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in timed} for line in found]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of 32 images without a break."""
    run = tmp_path_factory.mktemp("straight") / "run"
    assert train_tiny(run).finished
    return run


def stop_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(steps + 1))
    return lambda: next(asked) >= steps


def test_a_run_leaves_metrics_checkpoints_and_its_build(straight: Path) -> None:
    assert [path.name for path in checkpoints(straight)] == ["000000000020", "000000000032"]
    assert [line["images"] for line in lines(straight)] == [12, 24, 32]
    assert (straight / "manifest.json").is_file()
    assert (straight / "spec.yaml").is_file()
    first = lines(straight)[0]
    assert set(first["loss_by_brick"]) == {"small", "parts", "whole"}  # type: ignore[arg-type]
    assert sum(first["loss_by_brick"].values()) / 3 == pytest.approx(first["loss"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("steps", [1, 3, 5, 7])
def test_stopping_and_continuing_equals_never_stopping(straight: Path, tmp_path: Path, steps: int) -> None:
    """Weights, averages, moments and metrics; stops fall between lines and checkpoints, and on them."""
    run = tmp_path / "run"
    stopped = train_tiny(run, stop=stop_after(steps))
    assert (stopped.images, stopped.finished) == (4 * steps, False)
    finished = train_tiny(run)
    assert finished.checkpoint is not None
    assert_same_tensors(straight / "checkpoints" / "000000000032", finished.checkpoint)
    assert lines(run) == lines(straight)


def test_extending_a_finished_run_equals_a_longer_one(straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train_tiny(run, images=16).finished
    assert [line["images"] for line in lines(run)] == [12, 16]
    extended = train_tiny(run)
    assert extended.checkpoint is not None
    assert_same_tensors(straight / "checkpoints" / "000000000032", extended.checkpoint)
    assert lines(run) == lines(straight)


def test_killed_run_continues_from_its_checkpoint_without_a_line_twice(straight: Path, tmp_path: Path) -> None:
    """As after a kill: lines past the last checkpoint, the last of them cut short, and a half-written checkpoint."""
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    shutil.rmtree(run / "checkpoints" / "000000000032")
    half = run / "checkpoints" / ".writing-000000000032"
    half.mkdir()
    (half / "state.json").write_text("{}")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"images": 36, "st')
    finished = train_tiny(run)
    assert finished.checkpoint is not None
    assert not half.exists()
    assert_same_tensors(straight / "checkpoints" / "000000000032", finished.checkpoint)
    assert lines(run) == lines(straight)


def test_kill_right_after_the_last_checkpoint_leaves_no_line_out(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(run: Path, **rule: object) -> None:
        if len(checkpoints(run)) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("legoc_runtime.training.loop.prune", killed)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(tmp_path / "run")
    assert train_tiny(tmp_path / "run").finished
    assert lines(tmp_path / "run") == lines(straight)


def test_a_given_checkpoint_starts_another_run(straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "branch"
    branch = train_tiny(run, resume=straight / "checkpoints" / "000000000020")
    own = run / "checkpoints" / "000000000032"
    assert branch.checkpoint == own
    assert_same_tensors(straight / "checkpoints" / "000000000032", own)
    with pytest.raises(UsageError, match="has checkpoints of its own"):
        train_tiny(run, resume=straight / "checkpoints" / "000000000020")


def test_finished_run_is_left_as_it_is(straight: Path) -> None:
    before = (straight / "metrics.jsonl").read_bytes()
    again = train_tiny(straight)
    assert (again.finished, again.checkpoint) == (True, straight / "checkpoints" / "000000000032")
    assert (straight / "metrics.jsonl").read_bytes() == before


def test_never_refuses_a_run_that_has_begun(straight: Path) -> None:
    with pytest.raises(UsageError, match="has checkpoints, the last is 000000000032") as error:
        train_tiny(straight, resume="never")
    assert "--resume auto" in (error.value.help or "")


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("width: 16", "width: 32", r"spec\.bricks\[0\]\.width: 16 -> 32"),
        ("label_dropout: 0.3", "label_dropout: 0.2", r"label_dropout: 0\.3 -> 0\.2"),
        ("batch: 4", "batch: 8", r"train\.batch: 4 -> 8"),
        ("flip: true", "flip: true, fill: x0", r"train\.fill: 'noisy' -> 'x0'"),
        ("ema: [0.9, 0.5]", "ema: [0.9]", r"train\.ema: 2 entries -> 1"),
        ("train_patches: 0.5", "train_patches: 0.75", r"train_patches: 0\.5 -> 0\.75"),
    ],
)
def test_changed_spec_is_refused_by_name(straight: Path, before: str, after: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        train_tiny(straight, tiny_build(change=(before, after)), images=64)


def test_spec_that_changes_nothing_about_training_continues(straight: Path, tmp_path: Path) -> None:
    """Its build comes with the first checkpoint under it: never a build without weights of the same spec."""
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    old = (run / "spec.yaml").read_text()
    changed = tiny_build(change=("name: tiny", "name: tiny\nskip_policies: {late: {whole: 'sigma < 1'}}"))
    train_tiny(run, changed)
    assert (run / "spec.yaml").read_text() == old
    train_tiny(run, changed, images=36)
    assert (run / "spec.yaml").read_text() == changed[1]


class Said(Quiet):
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """Remember it."""
        self.lines.append(text)


def test_parts_of_a_step_may_change_and_that_is_said(straight: Path, tmp_path: Path) -> None:
    run, said = tmp_path / "run", Said()
    shutil.copytree(straight, run)
    assert train_tiny(run, images=36, accumulate=2, progress=said).images == 36
    assert "not exact: steps are computed in another way (train.accumulate: 1 -> 2)" in said.lines


def test_change_that_is_meant_goes_on_from_there_and_is_said(straight: Path, tmp_path: Path) -> None:
    run, said = tmp_path / "run", Said()
    shutil.copytree(straight, run)
    changes: dict[str, Any] = {"learning_rate": 1e-3, "precision": "fp16", "batch": 8}
    with pytest.raises(UsageError, match=r"train\.batch: 4 -> 8; train\.optimizer\.lr") as error:
        train_tiny(run, images=48, change=["train.precision"], **changes)
    assert "--change train.batch --change train.optimizer.lr" in (error.value.help or "")
    keys = ["train.precision", "train.batch", "train.optimizer.lr"]
    outcome = train_tiny(run, images=48, change=keys, progress=said, **changes)
    assert (outcome.images, outcome.finished) == (48, True)
    assert "changed from image 32 on: train.batch: 4 -> 8" in said.lines
    # the same command continues
    assert train_tiny(run, images=64, change=keys, **changes).images == 64


@pytest.mark.parametrize(
    ("key", "said"),
    [("train.ema", "cannot change within a run"), ("train.fil", "names no training setting"), ("grid", "names no")],
)
def test_change_of_what_cannot_change_is_refused(tmp_path: Path, key: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        train_tiny(tmp_path / "run", change=[key])
    assert not (tmp_path / "run").exists()


def test_more_images_are_refused_where_the_rate_falls_to_the_last(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_tiny(run, images=20, schedule="cosine")
    with pytest.raises(UsageError, match=r"train\.images: 20 -> 32"):
        train_tiny(run, schedule="cosine")


def test_checkpoint_from_before_a_setting_is_one_with_its_default(straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    last = run / "checkpoints" / "000000000032"
    state = read_state(last)
    del state["settings"]["precision"], state["settings"]["accumulate"]
    write_state(last, state)
    with pytest.raises(UsageError, match=r"train\.precision: 'float32' -> 'bf16'"):
        train_tiny(run, images=36, precision="bf16")
    assert train_tiny(run, images=36).finished


def test_other_data_is_refused(straight: Path, tmp_path: Path) -> None:
    more = open_dataset(labelled_zip(tmp_path / "more.zip", count=11))
    with pytest.raises(UsageError, match="was trained on 10 images, the data has 11"):
        train_tiny(straight, dataset=more, images=64)
    relabelled = open_dataset(labelled_zip(tmp_path / "other.zip", classes=2))
    with pytest.raises(UsageError, match="other names or labels"):
        train_tiny(straight, dataset=relabelled, images=64)


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "ema-0.5.safetensors", "state.json"])
def test_flipped_byte_is_found_and_the_checkpoint_before_offered(straight: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    path = run / "checkpoints" / "000000000032" / name
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match=name) as error:
        train_tiny(run, images=64)
    before = run / "checkpoints" / "000000000020"
    assert f"--resume {before}" in (error.value.help or "")
    # the offer holds, and the damaged checkpoint is replaced by a whole one on the way
    finished = train_tiny(run, resume=before)
    assert finished.checkpoint is not None
    assert_same_tensors(straight / "checkpoints" / "000000000032", finished.checkpoint)


def test_going_back_takes_a_course_of_its_own(straight: Path, tmp_path: Path) -> None:
    """What an old course left after that place counted as the newest: it was continued, and the new one pruned away."""
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    shutil.copytree(run / "checkpoints" / "000000000032", run / "averages" / "000000000032")
    back, steps = run / "checkpoints" / "000000000020", iter(range(100))
    changed = {"learning_rate": 1e-3, "change": ["train.optimizer.lr"], "keep": 1}
    stopped = train_tiny(run, resume=back, stop=lambda: next(steps) == 1, **changed)
    assert stopped.checkpoint == run / "checkpoints" / "000000000024"
    assert checkpoints(run) == (stopped.checkpoint,)
    assert [path.name for path in (run / "superseded").iterdir()] == ["000000000032"]
    assert not any((run / "averages").iterdir())
    finished = train_tiny(run, **changed)
    assert finished.images == 32
    assert finished.checkpoint is not None
    for _ in range(2):  # gone back behind the same place twice
        shutil.copytree(finished.checkpoint, run / "checkpoints" / "000000000040")
        train_tiny(run, resume=finished.checkpoint, images=36, **changed)
    names = {path.name for path in (run / "superseded").iterdir()}
    assert names == {"000000000032", "000000000036", "000000000040", "000000000040-again"}


def test_two_processes_cannot_train_into_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    seen: list[str] = []

    def second() -> bool:
        with pytest.raises(UsageError, match="another process is training"):
            train_tiny(run)
        seen.append("refused")
        return True

    train_tiny(run, stop=second)
    assert seen == ["refused"]


def test_other_peoples_directory_is_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "spec.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files \(spec\.yaml\)"):
        train_tiny(tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["spec.yaml"]
