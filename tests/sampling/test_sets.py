"""Sets of samples in several goes: what is kept, ADM's file, a clock that does not wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from legoc_runtime.contract.policy import Policy
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling import npz
from legoc_runtime.sampling.clock import Stopwatch
from legoc_runtime.sampling.output import SampleDirectory
from legoc_runtime.sampling.pictures import GRID_PICTURES, grid_count, read_png
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.ranks import Ranks
from legoc_runtime.sampling.record import Source
from legoc_runtime.sampling.run import SamplingRun
from tests.sampling.fakes import FormulaStack, plan, shape

SOURCE = Source("small", "5" * 64, "ema-0.999.safetensors", "a" * 64, 1000, "ema-0.999", "0.1.0")


def resumed(path: Path, wanted: Plan, *, batch: int = 2, npz: bool = False, source: Source = SOURCE) -> Any:
    """Go on with a set; the record, and how many rows each call had."""
    directory = SampleDirectory(path, wanted, source)
    directory.claim(resume=True)
    places, stack = directory.missing(), FormulaStack(wanted.shape)
    if places:
        directory.fill(SamplingRun(stack, wanted), batch=batch, how={}, places=places, npz=npz)
    return json.loads((path / "samples.json").read_text()), [rows for rows, _ in stack.calls]


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.name != "samples.json"}


def test_a_set_in_two_halves_is_the_set_in_one(tmp_path: Path):
    whole, halves = plan(seeds=tuple(range(7))), plan(seeds=(0, 1, 2))
    resumed(tmp_path / "one", whole, npz=True)
    resumed(tmp_path / "two", halves)
    record, rows = resumed(tmp_path / "two", whole, npz=True)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert set(rows) == {2}
    assert len(rows) == 2 * len(whole.evaluations)
    assert record["how"]["kept"] == 3
    assert record["complete"] is True
    assert len(record["trace"]["calls"]) == len(whole.evaluations)
    # a third time nothing is left to do, and nothing is touched
    before = (tmp_path / "two" / "samples.json").read_bytes()
    assert resumed(tmp_path / "two", whole)[1] == []
    assert (tmp_path / "two" / "samples.json").read_bytes() == before


def test_what_was_cut_off_is_made_again(tmp_path: Path):
    wanted = plan(seeds=tuple(range(5)))
    SampleDirectory(tmp_path, wanted, SOURCE).claim()
    made = SamplingRun(FormulaStack(shape()), wanted)
    directory = SampleDirectory(tmp_path, wanted, SOURCE)
    for sampled in made.batches(2, places=(0, 1, 2)):
        directory._write_batch(sampled)  # pyright: ignore[reportPrivateUsage]
    whole = (tmp_path / "000001.png").read_bytes()
    (tmp_path / "000001.png").write_bytes(whole[:40])
    (tmp_path / "000002.png").write_bytes(b"")
    record, _ = resumed(tmp_path, wanted)
    assert record["how"]["kept"] == 1
    assert (tmp_path / "000001.png").read_bytes() == whole


def test_a_set_that_lacks_only_its_record_gets_one_with_a_trace(tmp_path: Path):
    wanted = plan(seeds=(0, 1, 2))
    resumed(tmp_path, wanted)
    SampleDirectory(tmp_path, wanted, SOURCE).claim(resume=True)
    record = json.loads((tmp_path / "samples.json").read_text())
    (tmp_path / "samples.json").write_text(json.dumps(record | {"complete": False}))
    record, rows = resumed(tmp_path, wanted)
    assert set(rows) == {1}
    assert len(record["trace"]["calls"]) == len(wanted.evaluations)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (plan(steps=9), "other settings: steps 6, not 9"),
        (plan(guidance=2.0), "other settings: guidance 1.0, not 2.0"),
        (plan(Policy("none")), "other settings: policy"),
        (plan(seeds=(0, 1, 9)), "3 pictures of seeds that are not asked for, 2 first"),
        (plan(seeds=(0, 1, 2, 3, 4, 5), classes="2"), "shows class"),
    ],
)
def test_what_is_of_another_request_is_not_gone_on_with(tmp_path: Path, wanted: Plan, words: str):
    resumed(tmp_path, plan())
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=words):
        resumed(tmp_path, wanted)
    assert contents(tmp_path) == before


def test_a_folder_of_another_spec_is_not_gone_on_with(tmp_path: Path):
    resumed(tmp_path, plan())
    other = Source("other", "6" * 64, "w.safetensors", "b" * 64, 1, "weights", "0.1.0")
    with pytest.raises(UsageError, match='stack "small", not "other", spec_hash'):
        resumed(tmp_path, plan(), source=other)


def test_a_folder_without_a_record_is_not_gone_on_with(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="no samples to go on with"):
        resumed(tmp_path, plan())


@pytest.mark.parametrize(("classes", "channels"), [(5, 3), (None, 1)])
def test_adms_file_holds_pictures_in_the_order_of_the_seeds(tmp_path: Path, classes: int | None, channels: int):
    wanted = plan(seeds=(12, 3, 4), stack=shape(classes, channels))
    resumed(tmp_path, wanted, npz=True)
    with np.load(tmp_path / f"samples_3x8x8x{channels}.npz", allow_pickle=False) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    assert arrays["arr_0"].dtype == np.uint8
    shown = [read_png(tmp_path / f"{seed:06d}.png", (channels, 8, 8)) for seed in wanted.seeds]
    assert all(
        p is not None and np.array_equal(a.transpose(2, 0, 1), p) for a, p in zip(arrays["arr_0"], shown, strict=True)
    )
    if classes is None:
        assert set(arrays) == {"arr_0"}
    else:
        assert arrays["arr_1"].tolist() == list(wanted.labels or ())


def test_adms_file_is_written_one_picture_at_a_time(tmp_path: Path):
    alive = 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def pictures() -> Any:
        nonlocal alive
        for _ in range(50):
            alive += 1
            assert alive <= 3
            yield np.zeros((3, 4, 4), np.uint8).view(Counted)

    npz.write_npz(tmp_path / "x.npz", pictures(), (3, 4, 4), None, 50)
    assert (tmp_path / "x.npz").stat().st_size < 50 * 3 * 4 * 4 + 1000


def test_a_picture_that_is_gone_stops_adms_file(tmp_path: Path):
    wanted = plan(seeds=(0, 1))
    resumed(tmp_path, wanted)
    (tmp_path / "000001.png").unlink()
    with pytest.raises(RunError, match=r"000001\.png is gone or damaged"):
        SampleDirectory(tmp_path, wanted, SOURCE).add_npz()
    assert not list(tmp_path.glob("*.npz*"))


def test_latents_have_no_adm_file(tmp_path: Path):
    with pytest.raises(UsageError, match="latents of 4 channels"):
        SampleDirectory(tmp_path, plan(stack=shape(channels=4)), SOURCE).check_npz()


def test_ranks_share_batches_out_and_together_make_the_same_bits(tmp_path: Path):
    wanted = plan(seeds=tuple(range(11)), churn=4.0)

    def made(ranks: Ranks) -> dict[int, torch.Tensor]:
        run = SamplingRun(FormulaStack(shape()), wanted)
        return {
            seed: picture
            for batch in run.batches(2, ranks=ranks)
            for seed, picture in zip(batch.seeds, batch.pictures, strict=True)
        }

    alone, parts = made(Ranks()), [made(Ranks(rank, 3)) for rank in range(3)]
    assert [len(part) for part in parts] == [4, 4, 3]
    together = parts[0] | parts[1] | parts[2]
    assert together.keys() == alone.keys()
    assert all(torch.equal(together[seed], alone[seed]) for seed in alone)


def test_a_grid_of_large_pictures_shows_fewer():
    assert grid_count(32, 32) == GRID_PICTURES
    assert grid_count(512, 512) == 128
    assert grid_count(20_000, 20_000) == 1


def test_the_clock_reads_nothing_before_the_pictures_are_there():
    class Events:
        """A device's clock: its moments can be read once `done`."""

        done = False
        marks = 0

        def mark(self) -> int:
            self.marks += 1
            return self.marks

        def seconds(self, start: object, stop: object) -> float:
            assert self.done, "read while the device works: the call would wait"
            assert isinstance(start, int)
            assert isinstance(stop, int)
            return float(stop - start)

    clock = Events()
    watch = Stopwatch(clock)
    for _ in range(2):
        start = watch.mark()
        watch.add(("image",), 4, start)
    assert not watch.timings
    clock.done = True
    watch.settle()
    watch.settle()
    assert watch.timings[("image",)].calls == 2
    assert watch.timings[("image",)].seconds == 2.0
