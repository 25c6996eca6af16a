"""A loss that is finite and explodes: told, saved nothing of, and the end of a run where it stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from legoc_runtime.checkpoint import checkpoints
from legoc_runtime.checkpoint.layout import AVERAGES
from legoc_runtime.errors import RunError
from legoc_runtime.training.explosion import PATIENCE, Watch
from legoc_runtime.training.metrics import NOISE_RANGES, Metrics
from legoc_runtime.training.progress import Quiet
from legoc_runtime.training.trainer import Trainer
from tests.training.tiny import train_tiny


def line(images: int, loss: float, top: float | None = None) -> Metrics:
    by_noise = dict.fromkeys(NOISE_RANGES, loss) | {NOISE_RANGES[4]: 2 * loss}
    by_brick = {"bottom": 1.0, "top": top if top is None else loss}
    return Metrics(images, images, loss, by_brick, by_noise, 1e-3, 1.0, None, 1.0, 1.0)


def watching(tmp_path: Path, said: list[str], *, stops: bool = True, images: int = 0) -> Watch:
    return Watch(tmp_path, images=images, stops=stops, say=said.append)


def test_it_is_told_once_and_where_and_that_it_is_back(tmp_path: Path) -> None:
    said: list[str] = []
    watch = watching(tmp_path, said)
    for i in range(1, 11):
        watch.look(line(i, 2.0 / i, top=1.0))
    assert not said, "the first lines of a run fall steeply"
    watch.look(line(11, 6.0, top=1.0))
    watch.look(line(12, 7.0, top=1.0))
    assert watch.exploded
    watch.look(line(13, 0.3, top=1.0))
    assert not watch.exploded
    assert len(said) == 2
    assert "WARNING: the loss is 6 at 11 images, 16.4 times its median over the lines before (0.3667)" in said[0]
    assert "brick `top` and at" in said[0]
    assert "lower the learning rate" in said[0]
    assert said[1] == "the loss is back at 0.3, after 2 lines"


def test_noise_and_another_stage_are_no_explosion(tmp_path: Path) -> None:
    said: list[str] = []
    watch = watching(tmp_path, said)
    for i in range(40):
        watch.look(line(i, 1.0 + 1.9 * (i % 2)))
    for i in range(40, 60):
        watch.look(line(i, 50.0, top=1.0))
    assert not said


def test_what_a_policy_runs_is_held_against_its_own_lines(tmp_path: Path) -> None:
    said: list[str] = []
    watch = watching(tmp_path, said)
    for i in range(20):  # steps of the whole stack and of its bottom brick, line by line
        watch.look(line(i, *((9.0, None) if i % 2 else (1.0, 1.0))))
    assert not said
    watch.look(line(20, 9.0, top=1.0))
    assert watch.exploded
    assert len(said) == 1


def test_one_that_stays_ends_the_run_or_is_taken_for_what_it_is(tmp_path: Path) -> None:
    said: list[str] = []
    for stops in (True, False):
        watch = watching(tmp_path, said, stops=stops)
        for i in range(10):
            watch.look(line(i, 1.0))
        for i in range(10, 10 + PATIENCE - 1):
            watch.look(line(i, 9.0))
        if stops:
            with pytest.raises(RunError, match=r"the loss has exploded: 9 at 99 images, over 3 times 1") as error:
                watch.look(line(99, 9.0))
            assert "on_explosion: warn" in (error.value.help or "")
        else:
            watch.look(line(99, 9.0))
            watch.look(line(100, 9.0))
            assert not watch.exploded
            assert said[-1] == "the loss stays at 9: the lines to come are held against it"


def test_a_run_that_continues_knows_the_lines_before(tmp_path: Path) -> None:
    said: list[str] = []
    texts = [json.dumps(asdict(line(i, 1.0))) for i in range(10)]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*texts, json.dumps(asdict(line(10, 9.0))), '{"ima']))
    watching(tmp_path, said, images=9).look(line(10, 9.0))
    assert len(said) == 1
    assert watching(tmp_path, said, images=10).exploded


class Spoken(Quiet):
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def explode(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Losses are 100 times as large as they are, from a place on."""
    metrics = Trainer.metrics

    def after(images: int) -> None:
        def scaled(self: Trainer) -> Metrics:
            found = metrics(self)
            return replace(found, loss=found.loss * 100) if found.images > images else found

        monkeypatch.setattr(Trainer, "metrics", scaled)

    return after


@pytest.mark.parametrize("then", ["stop", "warn"])
def test_the_run_stands_at_a_checkpoint_of_before(tmp_path: Path, explode: Callable[[int], None], then: str) -> None:
    explode(36)
    progress, run = Spoken(), tmp_path / "run"
    given = {"images": 120, "log_images": 4, "snapshot_images": 16, "keep": 9, "progress": progress}
    if then == "warn":
        assert train_tiny(run, on_explosion="warn", **given).finished
        assert len(checkpoints(run)) == 8
        return
    with pytest.raises(RunError, match="the loss has exploded"):
        train_tiny(run, on_explosion="stop", **given)
    assert [int(path.name) for path in checkpoints(run)] == [16, 32]
    assert progress.said[-1] == "no checkpoint at 96 images: the loss is not back"
    assert any(text.startswith("WARNING: the loss is") for text in progress.said)


def test_stopped_while_the_loss_is_up_it_keeps_what_was_before(tmp_path: Path, explode: Callable[[int], None]) -> None:
    explode(36)
    progress, run, steps = Spoken(), tmp_path / "run", iter(range(100))
    given = {"images": 120, "log_images": 4, "snapshot_images": 16, "keep": 1, "on_explosion": "stop"}
    profiles = {"ema_profiles": (0.1,), "ema_snapshot_images": 16}
    train_tiny(run, stop=lambda: next(steps) == 18, progress=progress, **given, **profiles)
    assert [int(path.name) for path in checkpoints(run)] == [32, 72], "the last sound one is not pruned away"
    assert [int(path.name) for path in checkpoints(run, AVERAGES)] == [16, 32]
    assert progress.said[-1].endswith("is of a loss that has exploded and is not back: checkpoints of before all stay")
