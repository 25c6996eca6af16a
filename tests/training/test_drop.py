"""Training for skipping: which steps leave which bricks out, at which noise levels, and that it saves their work."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from legoc.cost import training_macs
from legoc.spec import check_text
from legoc_runtime.contract.manifest import manifest_from_json
from legoc_runtime.contract.noise_law import level_at, share_below
from legoc_runtime.contract.stack import DdpmConstants, Diffusion, EdmConstants
from legoc_runtime.training.batch import BatchMaker
from legoc_runtime.training.curriculum import Curriculum, Levels
from tests.training.test_resume import assert_same_tensors, stop_after
from tests.training.tiny import SPEC, tiny_build, tiny_data, train_tiny

POLICIES = "name: tiny\nskip_policies: {lean: {whole: 'sigma < 0.3', small: 'sigma > 2'}}"
DROP = ("images: 32,", "images: 32, drop: {policy: lean, rate: 0.5},")
LEAN = {"policy": ("name: tiny", POLICIES), "drop": DROP}


def curriculum(**changes: tuple[str, str]) -> Curriculum:
    manifest, _ = tiny_build(**(changes or LEAN))
    return Curriculum(manifest, manifest.train, torch.device("cpu"))


@pytest.mark.parametrize("diffusion", [EdmConstants(), DdpmConstants()])
def test_shares_and_levels_are_each_others_inverse(diffusion: Diffusion) -> None:
    for share in (0.0, 0.013, 0.4, 0.77, 0.999, 1.0):
        assert share_below(level_at(share, diffusion), diffusion) == pytest.approx(share, abs=0.0011)
    assert share_below(1.0, EdmConstants(p_mean=0.0)) == 0.5


def test_bands_are_the_policy_over_the_schedule() -> None:
    """Their shares add up to all of training's noise levels, and their borders are where the predicates change."""
    manifest, _ = tiny_build(**LEAN)
    drop = manifest.train.drop
    assert drop is not None
    assert (drop.policy, drop.rate) == ("lean", 0.5)
    assert [band.bricks for band in drop.bands] == [("parts", "whole"), ("small", "parts", "whole"), ("small", "parts")]
    high, middle, low = (band.share for band in drop.bands)
    assert high + middle + low == pytest.approx(1)
    assert level_at(low, manifest.shape.diffusion) == pytest.approx(0.3, rel=0.15)  # 40 levels: as near as they stand
    assert level_at(low + middle, manifest.shape.diffusion) == pytest.approx(2, rel=0.15)
    assert [program.name for program in manifest.variants] == ["training.parts+whole", "training.small+parts"]
    assert manifest_from_json(manifest.to_json(), where="manifest.json") == manifest


def test_steps_follow_the_policy_at_its_rate_and_train_what_it_runs() -> None:
    lessons = curriculum()
    found = Counter((lessons.at(step).program, lessons.levels(step) is None) for step in range(0, 8000, 4))
    assert found["training", True] == pytest.approx(1000, abs=70)
    drop = tiny_build(**LEAN)[0].train.drop
    assert drop is not None
    shares = dict(zip(("training.parts+whole", "training", "training.small+parts"), drop.bands, strict=True))
    for name, band in shares.items():
        assert found[name, False] / 1000 == pytest.approx(band.share, abs=0.05)


def test_noise_levels_of_a_step_are_those_at_which_the_policy_runs_its_bricks(tmp_path: Path) -> None:
    """And over all steps they are distributed as if nothing were left out."""
    manifest, _ = tiny_build(**LEAN)
    lessons = Curriculum(manifest, manifest.train, torch.device("cpu"))
    maker = BatchMaker(tiny_data(tmp_path), manifest.shape, 0, 0.3, flip=True, levels=lessons.levels)
    bounds = {"training.parts+whole": (1.7, 1e9), "training": (0.25, 2.4), "training.small+parts": (0.0, 0.35)}
    sigmas: list[float] = []
    for start in range(0, 1600, 4):
        sigma = maker.make(start, 4).sigma
        sigmas += [float(level) for level in sigma]
        if lessons.levels(start) is not None:
            low, high = bounds[lessons.at(start).program]
            assert low < float(sigma.min())
            assert float(sigma.max()) < high
    logs = torch.tensor(sigmas).log()
    assert float(logs.mean()) == pytest.approx(-1.2, abs=0.12)
    assert float(logs.std()) == pytest.approx(1.2, abs=0.1)


def test_levels_in_several_pieces() -> None:
    levels = Levels(((0.0, 0.1), (0.5, 0.6)))
    assert [round(levels.at(share), 6) for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0.0, 0.05, 0.1, 0.55, 0.6]


def test_it_saves_the_work_of_what_is_left_out() -> None:
    whole, _ = tiny_build()
    dropping, _ = tiny_build(**LEAN)
    top = dict(LEAN) | {"drop": ("images: 32,", "images: 32, drop: {policy: lean, rate: 1},")}
    always, _ = tiny_build(**top)
    none, half, all = (training_macs(m.shape, m.train) for m in (whole, dropping, always))
    assert none > half > all
    assert half == pytest.approx((none + all) / 2, abs=1)
    first, last = dropping.variants
    assert (first.bricks, last.bricks) == (("parts", "whole"), ("small", "parts"))
    assert not any(getattr(op, "brick", None) == "whole" for op in last.ops)


@pytest.mark.parametrize("steps", [3, 5])
def test_resume_is_exact(tmp_path: Path, steps: int) -> None:
    build = tiny_build(**LEAN)
    straight = train_tiny(tmp_path / "straight", build)
    train_tiny(tmp_path / "broken", build, stop=stop_after(steps))
    finished = train_tiny(tmp_path / "broken", build)
    assert straight.checkpoint is not None
    assert finished.checkpoint is not None
    assert_same_tensors(straight.checkpoint, finished.checkpoint)


def test_it_acts_in_the_stages_that_train_the_whole_stack() -> None:
    stages = "images: 64, stages: [{train: [small], images: 16}, {train: [small, parts, whole]}], "
    lessons = curriculum(**LEAN, stages=("images: 32, ", stages))
    assert {lessons.at(step).program for step in range(0, 16, 4)} == {"training.small"}
    assert all(lessons.levels(step) is None for step in range(0, 16, 4))
    assert {lessons.at(step).program for step in range(16, 400, 4)} >= {"training", "training.small+parts"}


def codes(train: str) -> list[str]:
    text = SPEC.replace("name: tiny", POLICIES).replace("train: {", f"train: {{{train}, ")
    return [finding.code for finding in check_text(text, "t.yaml").errors]


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ("drop: {policy: lean}", []),
        ("drop: {policy: 'halfway:0.3', rate: 1}", []),
        ("drop: {policy: leen}", ["LG315"]),
        ("drop: {policy: default}", ["LG315"]),
        ("drop: {policy: none}", ["LG215"]),
        ("drop: {policy: lean, rate: 1.5}", ["LG104"]),
        ("drop: {rate: 0.5}", ["LG102"]),
        ("drop: {policy: lean}, stages: [{train: [small]}]", ["LG215"]),
        ("drop: {policy: lean}, stages: [{train: [small], images: 4}, {train: [small, parts, whole]}]", []),
    ],
)
def test_what_cannot_be_is_told(train: str, expected: list[str]) -> None:
    assert codes(train) == expected
