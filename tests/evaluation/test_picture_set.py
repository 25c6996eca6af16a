"""What samples and references are read from, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from legoc_runtime.errors import LegocError, RunError, UsageError
from legoc_runtime.evaluation.picture_set import PictureSet, open_pictures, split
from legoc_runtime.evaluation.reference import open_reference
from tests.evaluation.small_sets import pixels, write_folder, write_samples

MARK = "pickle_ran"


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(MARK),)  # type: ignore[return-value]


def all_pixels(pictures: PictureSet, batch: int = 3) -> np.ndarray:
    return np.concatenate(list(pictures.batches(batch)))


def test_folder_zip_npz_and_samples_hold_the_same_pictures(tmp_path: Path):
    wanted = pixels(7)
    folder = write_folder(tmp_path / "folder", wanted)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    np.savez(tmp_path / "stored.npz", wanted.transpose(0, 2, 3, 1))
    np.savez_compressed(tmp_path / "packed.npz", wanted.transpose(0, 2, 3, 1))
    write_samples(tmp_path / "samples", wanted)
    for name in ("folder", "set.zip", "stored.npz", "packed.npz", "samples"):
        found = open_pictures(tmp_path / name)
        assert (len(found), found.size) == (7, (8, 8)), name
        np.testing.assert_array_equal(all_pixels(found), wanted)
        np.testing.assert_array_equal(np.concatenate(list(found.batches(2, 3, 6))), wanted[3:6])


def test_grey_pictures_become_three_equal_channels(tmp_path: Path):
    grey = pixels(2)[:, 0]
    for i, picture in enumerate(grey):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    found = all_pixels(open_pictures(tmp_path))
    np.testing.assert_array_equal(found, np.broadcast_to(grey[:, None], (2, 3, 8, 8)))


def test_fingerprints_tell_pictures_apart_and_know_them_again(tmp_path: Path):
    sets = [write_folder(tmp_path / str(i), pixels(3, seed)) for i, seed in enumerate((0, 0, 1))]
    first, again, other = (open_pictures(path).fingerprint() for path in sets)
    assert first == again != other
    parts = split(open_pictures(sets[0]), 3)
    assert len({part.fingerprint() for part in parts} | {first}) == 4


def test_a_split_gives_consecutive_sets_of_equal_length(tmp_path: Path):
    wanted = pixels(6)
    parts = split(open_pictures(write_samples(tmp_path / "s", wanted)), 3)
    np.testing.assert_array_equal(np.concatenate([all_pixels(part) for part in parts]), wanted)
    assert [part.name(0) for part in parts] == ["000000.png", "000002.png", "000004.png"]
    with pytest.raises(UsageError, match="6 pictures, which are not 4 sets"):
        split(open_pictures(tmp_path / "s"), 4)


def record_says(tmp_path: Path, **changes: object) -> Path:
    return write_samples(tmp_path / "s", pixels(2), **changes)


def npz(tmp_path: Path, **arrays: object) -> Path:
    np.savez(tmp_path / "x.npz", allow_pickle=True, **arrays)  # type: ignore[arg-type]
    return tmp_path / "x.npz"


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def two_sizes(tmp_path: Path) -> Path:
    write_folder(tmp_path / "s", pixels(2))
    Image.new("RGB", (9, 8)).save(tmp_path / "s" / "z.png")
    return tmp_path / "s"


def a_pickle_beside_pictures(tmp_path: Path) -> Path:
    return npz(tmp_path, arr_0=pixels(2).transpose(0, 2, 3, 1), other=np.array([Malicious()], dtype=object))


def a_file(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).write_bytes(b"x")
    return tmp_path / name


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing there": (lambda d: d / "none", "no image set at"),
    "no npz there": (lambda d: d / "none.npz", "no file"),
    "an empty folder": (lambda d: d, "holds no images"),
    "a broken record": (lambda d: record_says(d, samples_version=99), "has version 99"),
    "half a set": (lambda d: record_says(d, complete=False), "not all made"),
    "a record of a missing file": (lambda d: record_says(d, pictures=[{"file": "x.png"}]), "lacks x.png"),
    "a record that leads elsewhere": (lambda d: record_says(d, pictures=[{"file": "../x.png"}]), "lists no pictures"),
    "a record without pictures": (lambda d: record_says(d, pictures=[]), "lists no pictures"),
    "a record of another form": (lambda d: record_says(d, pictures=[3]), "lists no pictures"),
    "latents": (lambda d: record_says(d, pictures=[{"file": "x.npy"}]), "holds latents, not pictures"),
    "two sizes": (two_sizes, "is 8x9, the first image of the set is 8x8"),
    "a pickle in an npz": (a_pickle_beside_pictures, "is a pickle of Python objects"),
    "an npz of floats": (lambda d: npz(d, arr_0=np.zeros((2, 8, 8, 3))), "not uint8 pictures"),
    "an npz with channels first": (lambda d: npz(d, arr_0=pixels(2)), "not uint8 pictures"),
    "an npz of something else": (lambda d: npz(d, labels=np.zeros(3)), "holds no array `arr_0`"),
    "a cut npz": (lambda d: cut(npz(d, arr_0=pixels(9).transpose(0, 2, 3, 1)), 0.5), "cannot be read"),
    "no npz at all": (lambda d: a_file(d, "x.npz"), "cannot be read"),
    "a text file": (lambda d: a_file(d, "x.txt"), "neither a folder nor a .zip"),
    "a pickle": (lambda d: a_file(d, "x.pkl"), "is a pickle, which can run code"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told_in_words(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    make, message = BAD[case]
    with pytest.raises(LegocError) as error:
        open_reference(make(tmp_path))
    assert message in error.value.message
    assert not Path(MARK).exists()


def test_an_array_that_lies_about_its_length_is_found_when_it_is_read(tmp_path: Path):
    path = npz(tmp_path, arr_0=pixels(4).transpose(0, 2, 3, 1))
    data = path.read_bytes().replace(b"(4, 8, 8, 3)", b"(9, 8, 8, 3)")
    path.write_bytes(data)
    # the checksum of the member no longer holds, or it ends early: either way it is told
    with pytest.raises(RunError, match="cannot be read as NumPy arrays"):
        list(open_pictures(path).batches(2))


def test_statistics_of_adm_and_edm_are_read(tmp_path: Path):
    mean, covariance = np.arange(3.0), np.eye(3)
    edm = open_reference(npz(tmp_path, mu=mean, sigma=covariance))
    assert edm.pictures is None
    assert edm.statistics is not None
    assert (edm.statistics.spatial, edm.statistics.images) == (None, None)
    adm = npz(tmp_path, arr_0=pixels(2).transpose(0, 2, 3, 1), mu=mean, sigma=covariance, mu_s=mean, sigma_s=covariance)
    found = open_reference(adm)
    assert found.pictures is not None
    assert found.statistics is not None
    assert found.statistics.spatial is not None
    assert len(found.pictures) == 2


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        (np.zeros(3), np.eye(4), "are no mean and covariance"),
        (np.zeros((3, 1)), np.eye(3), "are no mean and covariance"),
        (np.full(3, np.nan), np.eye(3), "not finite"),
        (np.zeros(3, int), np.eye(3), "are no mean and covariance"),
    ],
    ids=["lengths", "a column", "not finite", "whole numbers"],
)
def test_statistics_that_are_none(mean: np.ndarray, covariance: np.ndarray, message: str, tmp_path: Path):
    with pytest.raises(RunError, match=message):
        open_reference(npz(tmp_path, mu=mean, sigma=covariance))
