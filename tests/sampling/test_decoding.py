"""Latents to pictures through a real AutoencoderKL of diffusers, small and randomly initialised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from legoc.__main__ import main
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.data.latents import file_digest
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling.given import read_given
from legoc_runtime.sampling.pictures import to_uint8
from legoc_runtime.sampling.plan import make_plan
from legoc_runtime.sampling.run import SamplingRun
from legoc_runtime.vae import load_vae
from tests.cli.small_run import spec_text, write_run
from tests.sampling.fakes import LATE, FormulaStack, shape
from tests.vaes import write_vae

COMMON = ("--device", "cpu", "--backend", "eager", "-q")
CONFIG = '{"_class_name": "AutoencoderKL"}'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on latents of 16x8 with 4 channels."""
    root = tmp_path_factory.mktemp("latents")
    write_run(root / "run", spec_text(channels=4, sample="seeds: 0-2"))
    return root


@pytest.fixture(scope="module")
def model(home: Path) -> Any:
    """A VAE of 64x32 pictures in `vae`, and another in `three` for latents of 3 channels."""
    write_vae(home / "three", channels=3)
    return write_vae(home / "vae")


@pytest.fixture(autouse=True)
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def sample(*arguments: str) -> int:
    return main(["sample", *COMMON, *arguments])


def look(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def record(path: str) -> Any:
    return json.loads((Path(path) / "samples.json").read_text())


@pytest.mark.peers
def test_pictures_are_what_the_vae_makes_of_the_latents(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert sample("run", "-o", "kept") == 0
    assert main(["sample", *COMMON[:-1], "run", "-o", "made", "--decoder", "vae", "--npz"]) == 0
    said = capsys.readouterr().err
    assert "decoder: vae instead of the spec's none" in said
    assert "latents are decoded to 64x32 by vae, 1 at once\n" in said
    latents = torch.tensor(np.stack([np.load(f"kept/00000{seed}.npy") for seed in range(3)]))
    with torch.no_grad():
        expected = to_uint8(torch.cat([model.decode(row[None] / 0.7 + 0.1).sample for row in latents]))
    for seed in range(3):
        assert np.array_equal(look(f"made/00000{seed}.png"), expected[seed].transpose(1, 2, 0))
    assert look("made/grid.png").shape == (64 * 2 + 2, 32 * 2 + 2, 3)
    with np.load("made/samples_3x64x32x3.npz") as file:
        assert np.array_equal(file["arr_0"][1], look("made/000001.png"))
    found = record("made")
    encoder = load_vae(Path("vae")).encoder
    assert found["request"]["shape"] == [4, 16, 8]
    assert found["request"]["decoder"] == {
        "name": "vae", "sha256": encoder.sha256, "scaling_factor": 0.7, "shift_factor": 0.1,
        "picture": [3, 64, 32], "tiles": None,
    }  # fmt: skip
    assert encoder.sha256 == file_digest([Path("vae/config.json"), Path("vae/diffusion_pytorch_model.safetensors")])
    assert found["timing"]["decoding_seconds"] > 0


@pytest.mark.peers
def test_what_was_kept_is_decoded_later_to_the_same_set(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert sample("run", "-o", "first") == 0
    assert sample("run", "-o", "at_once", "--decoder", "vae") == 0
    assert main(["decode", "first", "--decoder", "vae", "--device", "cpu", "--npz"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "first-decoded"
    for name in ("000000.png", "000002.png", "grid.png"):
        assert (Path("first-decoded") / name).read_bytes() == (Path("at_once") / name).read_bytes()
    later = record("first-decoded")
    assert later["complete"] is True
    assert later["request"] == record("at_once")["request"]
    assert later["npz"] == "samples_3x64x32x3.npz"
    Path("first-decoded/000001.png").unlink()
    assert main(["decode", "first", "--decoder", "vae", "--device", "cpu"]) == 0
    assert "1 of 3 pictures made" in capsys.readouterr().err
    # the same request, so that sampling goes on with it
    assert sample("run", "-o", "first-decoded", "--decoder", "vae", "--seeds", "0-3", "--resume") == 0
    assert main(["decode", "first", "--decoder", "vae", "-o", "first-decoded"]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert main(["eval", "first", "--ref", "at_once", "--features", "emoji"]) == 2
    assert "`legoc decode first --decoder VAE` makes pictures" in capsys.readouterr().err


@pytest.mark.peers
def test_slices_bound_what_is_decoded_at_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = load_vae(Path("vae"))
    latents = torch.randn(5, 4, 6, 4, generator=torch.Generator().manual_seed(1))
    rows: list[int] = []
    plain = vae.model.decode

    def decode(part: torch.Tensor) -> Any:
        rows.append(len(part))
        return plain(part)

    monkeypatch.setattr(vae.model, "decode", decode)
    one, two = vae.pictures(latents), vae.pictures(latents, batch=2)
    assert rows == [1, 1, 1, 1, 1, 2, 2, 1]
    assert one.shape == (5, 3, 24, 16)
    assert torch.allclose(one, two, atol=1e-5)


@pytest.mark.peers
def test_canvases_are_decoded_in_tiles_unless_asked_whole(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ("run", "--seeds", "0", "--size", "16x12")
    assert sample(*ask, "-o", "wide") == 0
    assert sample(*ask, "--decoder", "vae", "-o", "tiled") == 0
    assert sample(*ask, "--decoder", "vae", "--decode", "whole", "-o", "whole") == 0
    latent = torch.tensor(np.load("wide/000000.npy"))[None] / 0.7 + 0.1
    with torch.no_grad():
        model.disable_tiling()
        whole = to_uint8(model.decode(latent).sample)[0].transpose(1, 2, 0)
        model.enable_tiling()
        tiled = to_uint8(model.decode(latent).sample)[0].transpose(1, 2, 0)
        model.disable_tiling()
    assert np.array_equal(look("tiled/000000.png"), tiled)
    assert np.array_equal(look("whole/000000.png"), whole)
    assert not np.array_equal(tiled, whole)
    assert record("tiled")["request"]["decoder"]["tiles"] == {"latent": 4, "picture": 16, "overlap": 0.25}
    assert sample("run", "--decoder", "vae", "--decode", "whole") == 2
    assert "--decode does nothing: only canvases are decoded in tiles" in capsys.readouterr().err
    assert main(["decode", "wide", "--decoder", "vae", "-o", "later", "--device", "cpu"]) == 0
    assert np.array_equal(look("later/000000.png"), tiled)


@pytest.mark.peers
def test_pictures_that_a_call_starts_from_are_encoded_with_the_same_vae(model: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    mask = np.zeros((32, 32), np.uint8)
    mask[18:, :] = 255  # latents have rows of 4 pixels: of row 4 a part is white
    Image.fromarray(mask).save("mask.png")
    with torch.no_grad():
        given = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        mean = (model.encode(given).latent_dist.mean - 0.1) * 0.7
    latents = shape(channels=4)
    found = read_given(latents, Path("photo.png"), Path("mask.png"), None, vae=load_vae(Path("vae")))
    assert np.allclose(found.images((0, 5)), np.stack([mean[0], mean[0]]), atol=1e-5)
    assert found.anew is not None
    assert [bool(row.all()) for row in found.anew] == [False] * 4 + [True] * 4
    wanted = make_plan(latents, LATE, SampleSettings(steps=6), (0, 1), given=found)
    (made,) = SamplingRun(FormulaStack(latents), wanted).batches(2)
    assert torch.allclose(made.pictures[:, :, :4], mean.expand(2, -1, -1, -1)[:, :, :4], atol=1e-5)
    assert not torch.allclose(made.pictures[0, :, 4:], made.pictures[1, :, 4:])


@pytest.mark.peers
def test_pictures_to_start_from_need_a_vae_and_the_size_of_its_pictures(
    model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.zeros((64, 32, 3), np.uint8)).save("plain.png")
    assert sample("run", "--seeds", "0", "--from", "plain.png") == 2
    assert "pass --decoder VAE: it makes latents of pictures, too" in capsys.readouterr().err
    ask = ("run", "--seeds", "0", "--from", "plain.png", "--decoder", "vae")
    assert sample(*ask, "-o", "from_plain") == 0
    assert look("from_plain/000000.png").shape == (64, 32, 3)
    assert sample(*ask, "--size", "16x16") == 2
    assert "is 64x32; pictures of 64x64 are made" in capsys.readouterr().err


@pytest.mark.peers
def test_the_specs_decoder_is_taken_and_none_overrides_it(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(Path("named"), spec_text(channels=4, sample="decoder: vae"))
    assert sample("named", "--seeds", "0", "-o", "by_spec") == 0
    assert Path("by_spec/000000.png").exists()
    assert main(["sample", *COMMON[:-1], "named", "--seeds", "0", "--decoder", "none", "-o", "by_flag"]) == 0
    assert "decoder: none instead of the spec's vae" in capsys.readouterr().err
    assert Path("by_flag/000000.npy").exists()


@pytest.mark.peers
def test_a_vae_of_another_scale_than_the_training_data_is_refused(
    model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_vae(tmp_path / "other", scaling_factor=0.5)
    write_vae(tmp_path / "tuned", seed=1)
    text = spec_text(channels=4).replace("sample:", "data: {path: lat}\nsample:")
    write_run(tmp_path / "run", text)
    Image.fromarray(np.zeros((64, 32, 3), np.uint8)).save("one.png")
    Path("images").mkdir(exist_ok=True)
    Image.fromarray(np.zeros((64, 32, 3), np.uint8)).save("images/one.png")
    assert main(["data", "encode", "images", "--vae", "vae", "-o", "lat"]) == 0
    assert sample(str(tmp_path / "run"), "--seeds", "0", "--decoder", str(tmp_path / "other")) == 2
    assert "lat has latents scaled by 0.7 after a shift of 0.1, and other decodes those scaled by 0.5" in (
        capsys.readouterr().err
    )
    ask = (str(tmp_path / "run"), "--seeds", "0", "--decoder", str(tmp_path / "tuned"), "-o", str(tmp_path / "out"))
    assert main(["sample", *COMMON[:-1], *ask]) == 0
    assert "tuned is another VAE than vae, which made the latents in lat" in capsys.readouterr().err


@pytest.mark.peers
def test_a_vae_of_other_channels_is_refused(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert sample("run", "--decoder", "three") == 2
    assert "makes pictures of latents of 3 channels, and the stack has 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({}, UsageError, "holds no VAE: there is no config.json"),
        ({"config.json": CONFIG}, UsageError, "holds no weights"),
        ({"config.json": CONFIG, "diffusion_pytorch_model.bin": ""}, UsageError, "a pickle .*which can run code"),
        ({"config.json": '{"_class_name": "VQModel"}'}, UsageError, "is of a VQModel, not of an AutoencoderKL"),
        ({"config.json": "{"}, RunError, "cannot be read"),
    ],
)
def test_folders_that_are_no_vae_are_told(
    tmp_path: Path, files: dict[str, str], error: type[Exception], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=words):
        load_vae(tmp_path)


def test_without_diffusers_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text(CONFIG)
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(UsageError, match="diffusers is not installed") as refused:
        load_vae(tmp_path)
    assert refused.value.help == "pip install 'legoc[latents]'"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sample", "run", "--decode-batch", "2"], "--decode-batch says how latents are decoded, and none are"),
        (["sample", "run", "--decode", "whole"], "--decode says how latents are decoded, and none are"),
        (["sample", "run", "--decoder", "gone"], "gone holds no VAE"),
        (["sample", "run", "--npz"], "pass --decoder VAE, which makes pictures of them"),
        (["decode", "run"], "there is no VAE to decode with"),
        (["decode", "run", "--decoder", "gone"], "run holds no samples"),
    ],
)
def test_what_cannot_be_decoded_is_told(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
