"""What a spec asks of training, and what of it contradicts itself."""

from __future__ import annotations

import pytest

from legoc.hashes import spec_hashes
from legoc.spec import check_text, resolved_yaml
from legoc_runtime.contract.settings import TrainSettings

BASE = """\
legoc: 1
name: trained
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: null}
bricks:
  - {id: image, size: image, width: 192, heads: 6, depth: 2}
"""


def settings(written: str) -> TrainSettings:
    spec = check_text(f"{BASE}train: {{{written}}}\n", "t").spec
    assert spec is not None
    again = check_text(resolved_yaml(spec), "t").spec
    assert again is not None
    assert again.train == spec.train
    return spec.train


def test_what_is_written_is_what_trains() -> None:
    found = settings("precision: fp16, accumulate: 4, checkpoint_activations: bricks, batch: 8")
    assert (found.precision, found.accumulate, found.checkpoint_activations) == ("fp16", 4, "bricks")
    found = settings("schedule: inverse_sqrt, decay_images: 70M")
    assert (found.schedule, found.decay_images) == ("inverse_sqrt", 70_000_000)


@pytest.mark.parametrize(
    ("written", "words", "help"),
    [
        ("accumulate: 3", "3 parts cannot share 128 images evenly", "use 2"),
        ("batch: 100, accumulate: 8", "8 parts cannot share 100 images evenly", "use 5"),
        ("decay_images: 5k", "does nothing under a constant learning rate", "choose `schedule: cosine`"),
        ("schedule: inverse_sqrt", "needs `decay_images`", "add `decay_images: 70M`"),
        ("schedule: cosine, decay_images: 500k", "0 from image 500,000 on, and training ends at 1,000,000", "null"),
        ("ema_profiles: [0.1, 0.1]", "one profile is asked for twice", "remove one"),
        ("schedule: cosine, images: 10k", "the warm-up lasts as long as the cosine", "shorten"),
    ],
)
def test_what_contradicts_itself_is_named(written: str, words: str, help: str) -> None:
    (finding,) = check_text(f"{BASE}train: {{{written}}}\n", "t").diagnostics
    assert finding.code == "LG108"
    assert words in finding.message
    assert help in (finding.help or "")


@pytest.mark.parametrize(
    ("written", "counts"),
    [("precision: bf16", True), ("schedule: cosine", True), ("accumulate: 2", False), ("keep: 1", False)],
)
def test_the_training_hash_is_of_what_is_learned(written: str, counts: bool) -> None:
    before, after = (check_text(BASE + addition, "t").spec for addition in ("", f"train: {{{written}}}\n"))
    assert before is not None
    assert after is not None
    assert (spec_hashes(before).training != spec_hashes(after).training) == counts
