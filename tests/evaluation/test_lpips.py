"""LPIPS against the package that defines it, on random weights; crops of panoramas; weights from files."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from statistics import fmean, pstdev

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from legoc.__main__ import main
from legoc_runtime.errors import RunError
from legoc_runtime.evaluation.crops import as_pixels, between_crops, grid_corners, random_corners
from legoc_runtime.evaluation.lpips import Lpips, Trunk
from legoc_runtime.evaluation.picture_set import open_pictures
from tests.evaluation.lpips_weights import lpips_weights, pictures
from tests.evaluation.small_sets import pixels, write_samples

RECORDED = {
    ("alex", (40, 67)): [0.9294078946113586, 0.9746627807617188],
    ("vgg", (33, 48)): [0.6491358280181885, 0.6178051829338074],
}
"""What lpips 0.1.4 itself gives with these weights, over torchvision's structure of the trunks (CPU, torch 2.13)."""


@pytest.fixture(scope="module")
def alex() -> dict[str, Tensor]:
    return lpips_weights("alex")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, alex: dict[str, Tensor]) -> tuple[str, ...]:
    """Flags with a trunk as torchvision saves it, classifier and all, and heads as the package does, in two formats."""
    root = tmp_path_factory.mktemp("weights")
    trunk = {name: tensor for name, tensor in alex.items() if name.startswith("features")}
    torch.save({**trunk, "classifier.1.weight": torch.zeros(4, 4)}, root / "alexnet.pth")
    heads = {name: tensor for name, tensor in alex.items() if name.startswith("lin")}
    torch.save(heads, root / "alex.pth", _use_new_zipfile_serialization=False)
    save_file(alex, root / "whole.safetensors")
    return ("--weights", str(root / "alexnet.pth"), "--weights", str(root / "alex.pth"))


@pytest.mark.parametrize(("trunk", "size"), RECORDED)
def test_distances_are_those_of_the_package(trunk: Trunk, size: tuple[int, int]) -> None:
    network = Lpips(lpips_weights(trunk), "random")
    first, second = pictures(size, 1), pictures(size, 2)
    assert network.trunk == trunk
    assert network(first, second).tolist() == pytest.approx(RECORDED[trunk, size], rel=1e-5)
    assert torch.equal(network(first, second), network(second, first))
    assert network(first, first).tolist() == [0, 0]


def test_the_packages_own_state_dict_is_read_too(alex: dict[str, Tensor]) -> None:
    slices = {"0": 1, "3": 2, "6": 3, "8": 4, "10": 5}
    own: dict[str, Tensor] = {"scaling_layer.shift": torch.zeros(1, 3, 1, 1)}
    for name, tensor in alex.items():
        kind, index, *rest = name.split(".")
        if kind == "features":
            own[f"net.slice{slices[index]}.{index}.{rest[0]}"] = tensor
        else:
            own |= {name: tensor, f"lins.{kind[3:]}.{index}.{'.'.join(rest)}": tensor}
    first, second = pictures((40, 67), 1), pictures((40, 67), 2)
    assert torch.equal(Lpips(own, "own")(first, second), Lpips(alex, "plain")(first, second))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features.0.weight": None}, "no first convolution of AlexNet or VGG-16"),
        ({"features.0.weight": torch.zeros(64, 3, 7, 7)}, "no first convolution"),
        ({"features.8.bias": None}, r"needs `features\.8\.bias`, which the weights do not hold"),
        ({"lin4.model.1.weight": torch.zeros(1, 512, 1, 1)}, "`lin4.model.1.weight` is 1x512x1x1, where 1x256x1x1"),
        ({"lin0.model.1.weight": torch.full((1, 64, 1, 1), -1.0)}, "negative weights"),
        ({"lin0.model.1.weight": torch.full((1, 64, 1, 1), torch.nan)}, "not finite"),
    ],
)
def test_weights_that_are_no_lpips_are_told(
    alex: dict[str, Tensor], change: dict[str, Tensor | None], words: str
) -> None:
    changed = {name: tensor for name, tensor in {**alex, **change}.items() if tensor is not None}
    with pytest.raises(RunError, match=words):
        Lpips(changed, "changed")


def test_crops_lie_side_by_side_or_where_the_seed_says() -> None:
    assert grid_corners((64, 100), (32, 48)) == [(0, 0), (0, 48), (32, 0), (32, 48)]
    drawn = random_corners((64, 100), (32, 48), 500, picture=3, seed=0)
    assert drawn == random_corners((64, 100), (32, 48), 500, picture=3, seed=0)
    assert drawn[:9] != random_corners((64, 100), (32, 48), 9, picture=4, seed=0)
    rows, columns = zip(*drawn, strict=True)
    assert (min(rows), max(rows), min(columns), max(columns)) == (0, 32, 0, 52)
    assert set(random_corners((32, 48), (32, 48), 9, picture=0, seed=0)) == {(0, 0)}


def test_every_pair_of_crops_of_one_picture_counts_once(alex: dict[str, Tensor], tmp_path: Path) -> None:
    images = pixels(2, size=(32, 96))
    panoramas = open_pictures(write_samples(tmp_path / "set", images))
    network = Lpips(alex, "random")
    found = between_crops(panoramas, network, (32, 32), "grid", count=0)
    by_hand: list[list[float]] = []
    for image in as_pixels(images):
        crops = image.split(32, dim=2)
        by_hand.append([float(network(a[None], b[None])) for a, b in combinations(crops, 2)])
    every = [distance for own in by_hand for distance in own]
    assert (found.pairs, found.what) == (6, "grid crops of 32x32")
    assert found.mean == pytest.approx(fmean(every), rel=1e-4)
    assert found.deviation == pytest.approx(pstdev(every), rel=1e-3)
    assert found.by_picture == pytest.approx([fmean(own) for own in by_hand], rel=1e-4)


def test_a_picture_of_equal_tiles_repeats_itself(alex: dict[str, Tensor], tmp_path: Path) -> None:
    tile = pixels(1, size=(32, 32))
    panoramas = open_pictures(write_samples(tmp_path / "set", np.concatenate([tile, tile, tile], axis=3)))
    found = between_crops(panoramas, Lpips(alex, "random"), (32, 32), "grid", count=0)
    assert (found.mean, found.deviation) == (0, 0)


def test_the_command_says_mean_and_deviation(
    files: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = str(write_samples(tmp_path / "wide", pixels(2, size=(32, 80))))
    ask = ["lpips", wide, *files, "--crop", "32", "--crops", "4", "--device", "cpu"]
    assert main(ask) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("features  alex, weights ")
    assert " ".join(table[3].split()) == "LPIPS of crops each pairs mean deviation over pictures"
    by_grid, at_random = (line.split()[-5:] for line in table[4:])
    assert table[4].startswith("grid crops of 32x32 ")
    assert (by_grid[:2], at_random[:2]) == (["2", "2"], ["4", "12"])
    assert main([*ask, "--json", "--seed", "1"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert "the paper's Table 7" in said.err
    assert (report["lpips_version"], report["trunk"], report["pictures"]) == (1, "alex", 2)
    grid, random = report["distances"]
    assert by_grid[2:] == [f"{grid[name]:.4f}" for name in ("mean", "deviation", "deviation_over_pictures")]
    assert grid["deviation_over_pictures"] == pytest.approx(pstdev(grid["by_picture"]))
    assert len(random["by_picture"]) == 2
    assert f"{random['mean']:.4f}" not in table[5]


@pytest.mark.parametrize(
    ("decoder", "crop"), [({}, "32x16"), ({"decoder": {"picture": [3, 128, 320]}}, "128x64")], ids=["pixels", "latents"]
)
def test_crops_of_canvases_have_the_size_of_their_window(
    decoder: dict[str, object],
    crop: str,
    files: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    size = (32, 80) if not decoder else (128, 320)
    wide = write_samples(tmp_path / "wide", pixels(1, size=size))
    record = json.loads((wide / "samples.json").read_text())
    canvas = {"canvas": {"size": [32, 80], "window": [32, 16]}}
    (wide / "samples.json").write_text(json.dumps({**record, "request": {**canvas, **decoder}}))
    code = main(["lpips", str(wide), *files, "--crops", "2", "--device", "cpu"])
    said = capsys.readouterr()
    assert f"--crop {crop}: the window that these canvases were made of" in said.err
    if decoder:
        assert code == 0
        assert said.out.splitlines()[4].split()[-1] == "-", "one picture has no deviation over pictures"
    else:
        assert (code, "LPIPS needs 32x32 pixels" in said.err) == (2, True)


def test_sets_are_compared_picture_by_picture(
    files: tuple[str, ...], tmp_path: Path, alex: dict[str, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = pixels(3, size=(32, 32)), pixels(3, seed=1, size=(32, 32))
    first, second = (str(write_samples(tmp_path / name, images)) for name, images in (("a", one), ("b", other)))
    assert main(["lpips", first, *files, "--against", second, "--batch", "2", "--device", "cpu", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["distances"]
    expected = Lpips(alex, "random")(as_pixels(one), as_pixels(other)).tolist()
    assert found["by_picture"] == pytest.approx(expected, rel=1e-4)
    assert found["mean"] == pytest.approx(fmean(expected), rel=1e-4)
    small = str(write_samples(tmp_path / "c", pixels(2, size=(32, 32))))
    assert main(["lpips", first, *files, "--against", small]) == 2
    assert "pictures are compared pair by pair" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "there is nothing to compare"),
        (["--crop", "32", "--against", "wide"], "--crop compares within pictures, and --against with others"),
        (["--crop", "big"], "`big` is no size"),
        (["--crop", "16"], "LPIPS needs 32x32 pixels at least"),
        (["--crop", "64x32"], "does not fit into pictures of 32x80"),
        (["--crop", "32x64"], "has 1 crop of 32x64, and pairs need two"),
        (["--against", "wide", "--crops", "3"], "--crops says something of crops"),
        (["--crop", "32", "--weights", "gone.pth"], "there is no file gone.pth"),
        (["--crop", "32", "--weights", "empty.safetensors"], "holds no weights of LPIPS"),
    ],
)
def test_what_cannot_be_measured_is_told(
    files: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_samples(tmp_path / "wide", pixels(2, size=(32, 80)))
    save_file({"other": torch.zeros(1)}, "empty.safetensors")
    assert main(["lpips", "wide", *files, *flags, "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "help: " in error


def test_weights_are_asked_for_and_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = str(write_samples(tmp_path / "wide", pixels(2, size=(32, 80))))
    assert main(["lpips", wide, "--crop", "32"]) == 2
    assert "LPIPS needs the weights that it was trained with" in capsys.readouterr().err
    (tmp_path / "bad.pth").write_bytes(b"\x80\x02cos\nsystem\nU\x04trueq\x01\x85R.")
    assert main(["lpips", wide, "--crop", "32", "--weights", str(tmp_path / "bad.pth")]) == 3
    assert "names `os.system`" in capsys.readouterr().err
