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
        ("preview_seeds: 0-3", "`preview_seeds` does nothing without `preview_images`", "preview_images: 50k"),
        ("preview_images: 5k, preview_seeds: 3-0", "the seeds `3-0` run backwards", "write 0-3"),
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


@pytest.mark.parametrize(
    ("written", "code", "at", "words"),
    [
        ("stages: [{images: 32}]", "LG102", "images: 32", "`train.stages[0]` has no `train`"),
        ("stages: [{bricks: [image]}]", "LG101", "bricks", "unknown key `bricks` in `train.stages[0]`"),
        ("stages: [image]", "LG103", "image", "`train.stages[0]` must be a mapping"),
        ("stages: {train: [image]}", "LG103", "stages", "must be a list"),
        ("stages: [{train: image}]", "LG103", "image", "must be a list"),
        ("stages: [{train: []}]", "LG104", "train: []", "at least 1 item"),
        ("stages: [{train: [imag]}]", "LG214", "imag", "which the stack does not have"),
        ("stages: [{train: [image], $delete: true}]", "LG606", "$delete", "in a list, which is replaced as a whole"),
        ("drop: {rate: 0.5}", "LG102", "drop", "`train.drop` has no `policy`"),
        ("drop: halfway", "LG103", "halfway", "must be a mapping"),
        ("drop: null", "LG103", "null", "must be a mapping"),
        ("train: [image]", "LG101", "train: [", "unknown key `train` in `train`"),
    ],
)
def test_what_is_missing_or_of_another_kind_is_a_finding_at_its_place(
    written: str, code: str, at: str, words: str
) -> None:
    text = f"{BASE}train: {{{written}}}\n"
    findings = check_text(text, "t").diagnostics
    (finding,) = [finding for finding in findings if finding.code == code]
    assert words in finding.message
    assert finding.primary is not None
    assert len(findings) == (2 if "bricks" in written else 1)  # a misspelt key may be the missing one
    assert text[finding.primary.span.start :].startswith(at)


@pytest.mark.parametrize(
    ("written", "help"),
    [
        ("drop: halfway", "write `{policy: halfway}`"),
        ("drop: halfway:0.4", 'write `{policy: "halfway:0.4"}`'),
        ("drop: 0.2", "write `{policy: halfway, rate: 0.2}`"),
        ("drop: true", None),
        ("stages: [image]", "write `{train: [image]}`"),
        ("optimizer: adamw", "write `{name: adamw}`"),
        ("optimizer: 1e-4", "write `{lr: 1e-4}`"),
        ("images: 350 M", "write `350M`"),
        ("images: 10K", "write `10k`"),
        ('images: "350000"', "write `350000`, without quotes"),
        ("images: many", None),
    ],
)
def test_a_slip_is_told_what_was_meant(written: str, help: str | None) -> None:
    (finding,) = check_text(f"{BASE}train: {{{written}}}\n", "t").diagnostics
    assert finding.help == help


@pytest.mark.parametrize(
    ("word", "meant"), [("float16", "fp16"), ("half", "fp16"), ("bfloat16", "bf16"), ("fp32", "float32")]
)
def test_the_words_of_others_for_a_precision_are_not_taken_for_another_one(word: str, meant: str) -> None:
    """`float16` is nearer to `float32` in letters, and mending it so would change what trains."""
    (finding,) = check_text(f"{BASE}train: {{precision: {word}}}\n", "t").diagnostics
    assert finding.help == f"did you mean `{meant}`?"
    assert finding.fix is not None
    assert [edit.text for edit in finding.fix] == [meant]


def test_previews_of_latents_need_a_decoder() -> None:
    latents = BASE.replace("channels: 3", "channels: 4") + "train: {preview_images: 5k}\n"
    (finding,) = check_text(latents, "t").diagnostics
    assert (finding.code, finding.message) == (
        "LG108",
        "previews are pictures, and this stack makes latents of 4 channels",
    )
    assert check_text(latents + "sample: {decoder: models/vae}\n", "t").spec is not None
