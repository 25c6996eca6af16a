"""`legoc data encode` through a real AutoencoderKL of diffusers, small and randomly initialised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from legoc.__main__ import main
from legoc_runtime.data import LatentDataset, open_dataset
from tests.image_sets import encoded, labelled_zip, picture, write_zip
from tests.vaes import write_vae


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A VAE that makes 4x4x4 of 16x16, and its folder."""
    folder = tmp_path_factory.mktemp("vae")
    return write_vae(folder), folder


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_moments_are_the_models_and_scaled_as_it_says(
    vae: Any, tmp_path: Path, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, folder = vae
    images = labelled_zip(tmp_path / "set.zip", count=7, size=(16, 16))
    out = tmp_path / "latents"
    flags = ["--vae", str(folder), "-o", str(out), "--flip", "--batch", "3", "--shard-images", "4", "--dtype", dtype]
    assert main(["data", "encode", str(images), *flags]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    data = open_dataset(out)
    assert isinstance(data, LatentDataset)
    assert [data.label(i) for i in range(7)] == [i % 3 for i in range(7)]
    assert [shard.images for shard in data.index.shards] == [4, 3]
    assert [data.shard_digest(shard) for shard in data.index.shards] == [shard.sha256 for shard in data.index.shards]
    pixels = torch.tensor(np.stack([np.asarray(picture(i, (16, 16))) for i in range(7)])).permute(0, 3, 1, 2)
    with torch.no_grad():
        given = pixels.float() / 127.5 - 1
        both = [model.encode(images).latent_dist for images in (given, given.flip(3))]
    # without noise a draw is the mean: half of the positions are those of the mirror image
    drawn = data.clean(range(7), range(7), 0, flip=False)
    again = np.stack([data.clean([i], [i], 0, flip=False)[0] for i in range(7)])
    assert np.array_equal(drawn, again)
    for row in range(7):
        for suffix, dist in zip(("", "_flipped"), both, strict=True):
            for name, moment in (("mean", dist.mean), ("std", dist.std)):
                held = data._moment(row, f"{name}{suffix}")  # pyright: ignore[reportPrivateUsage]
                assert np.allclose(held, moment[row].numpy(), atol=2e-5 if dtype == "float32" else 2e-3)
    values = np.concatenate([(dist.mean.numpy() - 0.1) * 0.7 for dist in both])
    spread = np.concatenate([dist.std.numpy() * 0.7 for dist in both])
    assert data.index.std == pytest.approx(np.sqrt(values.var() + (spread**2).mean()), rel=1e-3)


@pytest.mark.peers
def test_gray_images_of_any_size_are_resized_first(vae: Any, tmp_path: Path) -> None:
    members = {f"{i}.png": encoded(picture(i, (20, 33), "L")) for i in range(2)}
    images = write_zip(tmp_path / "set.zip", members)
    flags = ["--vae", str(vae[1]), "-o", str(tmp_path / "out"), "--size", "16", "--resize", "adm"]
    assert main(["data", "encode", str(images), *flags]) == 0
    body = json.loads((tmp_path / "out" / "latents.json").read_text())
    assert (body["source"]["resize"], body["height"], body["labelled"]) == ("adm", 4, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set.zip"]  # no draft is left


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "there is no VAE to encode with"),
        (["--vae", "."], "holds no VAE: there is no config.json"),
        (["--vae", ".", "--dtype", "int8"], "moments cannot be kept as int8"),
        (["--vae", ".", "--size", "16"], "--size says nothing where nothing is resized"),
        (["--vae", ".", "--size", "big", "--resize", "adm"], "`big` is no size"),
        (["--vae", ".", "--resize", "lanczos"], "there is no resize rule `lanczos`"),
        (["--vae", ".", "--resize", "adm"], "resize: adm needs a size"),
    ],
)
def test_what_cannot_be_encoded_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    labelled_zip(tmp_path / "set.zip")
    assert main(["data", "encode", "set.zip", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "help: " in error


def test_the_command_has_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 2
    assert "legoc data encode" in capsys.readouterr().err
    assert main(["data", "--help"]) == 0
    assert "legoc data check: " in capsys.readouterr().out
    assert main(["help", "data", "check"]) == 0
    assert "--held-out" in capsys.readouterr().out
    assert main(["data", "nothing"]) == 2
    assert "`legoc data` does not do `nothing`" in capsys.readouterr().err
