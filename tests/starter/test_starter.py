"""`legoc init`: what it writes checks without a warning, whatever the images are, and trains on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from legoc.__main__ import main
from legoc.spec import check_text, load_spec
from legoc.starter import MAX_TOKENS, ImageFacts, measure, starter_spec
from legoc_runtime.data import open_dataset
from tests.data.latent_sets import write_latents
from tests.image_sets import labelled_zip


@settings(max_examples=80, deadline=None)
@given(
    st.integers(2, 300), st.integers(2, 300), st.sampled_from([None, 1, 1000]), st.sampled_from(["a b", 'x"\\y', None])
)
def test_it_checks_for_every_grid(height: int, width: int, classes: int | None, path: str | None) -> None:
    facts = ImageFacts(height=height, width=width, classes=classes, path=path)
    result = check_text(starter_spec(facts), "t")
    assert result.diagnostics == ()
    assert result.spec is not None
    shape = result.spec.shape
    assert (shape.grid, shape.classes, result.spec.data_path) == ((height, width), classes, path)
    assert shape.bricks[-1].covers_grid
    assert all(brick.depth <= shape.bricks[-1].depth for brick in shape.bricks)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (8, [(4, 2), (8, 2)]),
        (32, [(4, 2), (16, 8), (32, 2)]),
        (64, [(4, 2), (16, 8), (64, 2)]),
        (128, [(4, 2), (16, 8), (128, 4)]),
        (37, [(37, 1)]),
    ],
)
def test_bricks_are_the_papers_where_the_grid_allows(side: int, expected: list[tuple[int, int]]) -> None:
    spec = check_text(starter_spec(ImageFacts(height=side, width=side)), "t").spec
    assert spec is not None
    assert [(brick.window[0], brick.receptive_field) for brick in spec.shape.bricks] == expected
    assert spec.shape.bricks[-1].tokens <= MAX_TOKENS or side == 37  # a prime


def test_it_is_fitted_to_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    labelled_zip(tmp_path / "my images.zip", count=12, classes=3)
    assert main(["init", "--from", "my images.zip"]) == 0
    assert capsys.readouterr().out == "my_images.yaml\n"
    spec = load_spec("my_images.yaml")
    assert (spec.shape.classes, spec.shape.grid, spec.data_path) == (3, (8, 8), "my images.zip")
    dataset = open_dataset("my images.zip")
    dataset.check_fits(spec.shape)
    pixels = np.stack([dataset.image(i) for i in range(12)]) / 127.5 - 1
    assert spec.shape.edm.sigma_data == pytest.approx(pixels.std(), abs=1e-3)
    assert "legoc train && legoc sample" in Path("my_images.yaml").read_text(encoding="utf-8")
    before = Path("my_images.yaml").read_bytes()
    assert main(["init", "--from", "my images.zip"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("my_images.yaml").read_bytes() == before


def test_images_of_one_colour_without_labels(tmp_path: Path) -> None:
    for i in range(2):
        Image.new("L", (24, 16), 128).save(tmp_path / f"{i}.png")
    facts = measure(tmp_path)
    assert (facts.height, facts.width, facts.channels, facts.classes, facts.sigma_data) == (16, 24, 1, None, 0.001)
    assert check_text(starter_spec(facts), "t").diagnostics == ()


def test_flat_images_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(2):
        Image.new("RGB", (16, 16), (128, 128, 128)).save(tmp_path / f"{i}.png")
    assert main(["init", "--from", str(tmp_path), "-o", str(tmp_path / "x.yaml")]) == 0
    assert "the images are almost of one colour (sigma_data 0.001" in capsys.readouterr().err


def test_stdout_and_names_that_are_no_specs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "-o", "-"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (starter_spec(ImageFacts()), "")
    assert main(["init", "-o", "first.json"]) == 2
    assert "end the name of -o in .yaml" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_comes_next_works_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert capsys.readouterr().err == "next: legoc build first.yaml && legoc train --data FOLDER\n"
    assert main(["init", "--from", "nowhere"]) == 2
    assert "--data" not in capsys.readouterr().err


def test_depths_are_those_that_the_comment_names() -> None:
    for side, depths, words in ((64, [2, 4, 6], "2, 4 and 6 blocks"), (32, [2, 3, 5], "ours"), (37, [6], "one brick")):
        text = starter_spec(ImageFacts(height=side, width=side))
        spec = check_text(text, "t").spec
        assert spec is not None
        assert [brick.depth for brick in spec.shape.bricks] == depths
        assert words in text
        assert ("D.2" in text) is (len(depths) > 1)


def test_without_images_and_with_none_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "-o", "new.yaml"]) == 0
    assert load_spec("new.yaml").data_path is None
    assert main(["init", "--from", "nowhere"]) == 2
    assert main(["init", "-o", "no/such/folder/new.yaml"]) == 3


def test_of_latents_it_says_whose_pictures_they_are(tmp_path: Path) -> None:
    text = starter_spec(measure(write_latents(tmp_path / "set", size=(4, 8, 8))))
    assert "# `decoder: FOLDER` in it, the VAE that made the latents ('vae'), makes pictures of them\nsample:" in text
    assert check_text(text, "first.yaml").spec is not None
    broken = starter_spec(ImageFacts(vae="a\nsample: {steps: 1}"))
    assert check_text(broken, "first.yaml").spec is not None
