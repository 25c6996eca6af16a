"""WebDataset shards: the same set as their zip, and tars that are refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from legoc_runtime.data import open_images as open_dataset
from legoc_runtime.errors import RunError, UsageError
from tests.image_sets import encoded, picture, write_zip

PNG = encoded(picture(0))


def write_tar(path: Path, members: Mapping[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def labelled(indices: list[int]) -> dict[str, bytes]:
    pairs = [(f"{i:04d}.png", encoded(picture(i))) for i in indices]
    return {**dict(pairs), **{f"{i:04d}.cls": str(i % 3).encode() for i in indices}, "0000.json": b"{}"}


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_shards_are_one_set_in_the_order_of_names(tmp_path: Path, format: int) -> None:
    write_tar(tmp_path / "set" / "b.tar", labelled([4, 3]), format)
    write_tar(tmp_path / "set" / "a.tar", labelled([2, 0, 1]), format)
    data = open_dataset(tmp_path / "set")
    assert [data.name(i) for i in range(5)] == ["a.tar/0000.png", "a.tar/0001.png", "a.tar/0002.png",
                                                "b.tar/0003.png", "b.tar/0004.png"]  # fmt: skip
    assert [data.label(i) for i in range(5)] == [0, 1, 2, 0, 1]
    zipped = open_dataset(write_zip(tmp_path / "x.zip", {f"{i}.png": encoded(picture(i)) for i in range(5)}))
    assert np.array_equal(data.images(range(5)), zipped.images(range(5)))


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_names_beyond_ascii_are_read(tmp_path: Path, format: int) -> None:
    name = f"{'deep/' * 30}ü{'x' * 120}.png"
    data = open_dataset(write_tar(tmp_path / "x.tar", {name: PNG}, format))
    assert data.name(0) == f"x.tar/{name}"
    assert data.labels.why_absent == "its shards hold no .cls"


def test_same_key_in_two_shards_is_two_images(tmp_path: Path) -> None:
    for shard in ("a.tar", "b.tar"):
        write_tar(tmp_path / shard, labelled([0]))
    assert len(open_dataset(tmp_path)) == 2


def link(path: Path, kind: bytes) -> Path:
    with tarfile.open(path, "w") as file:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = kind, "elsewhere"
        file.addfile(info)
    return path


def huge_name(path: Path) -> Path:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 10 * 2**20
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(11 * 2**20))
    return path


def pax(path: Path, record: bytes) -> Path:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    path.write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0") + PNG)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(write_tar(path, {"a.png": PNG}).read_bytes()[:600])
    return path


def no_tar(path: Path) -> Path:
    path.write_bytes(PNG * 20)
    return path


def large(path: Path) -> Path:
    info = tarfile.TarInfo("a.png")
    info.size = 65 * 2**20
    with path.open("wb") as file:
        file.write(info.tobuf())
        file.truncate(66 * 2**20)
    return path


BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "symbolic link": (lambda path: link(path, tarfile.SYMTYPE), "holds a.png, which is a symbolic link"),
    "hard link": (lambda path: link(path, tarfile.LNKTYPE), "holds a.png, which is a hard link"),
    "device": (lambda path: link(path, tarfile.CHRTYPE), "holds a.png, which is a device"),
    "outside": (lambda path: write_tar(path, {"../a.png": PNG}), "a name that leads out of it"),
    "absolute": (lambda path: write_tar(path, {"/a.png": PNG}), "a name that leads out of it"),
    "cut short": (cut, "is cut short in a.png"),
    "no tar": (no_tar, "cannot be read as a tar at byte 0"),
    "huge name": (huge_name, "a name or record of 10,485,760 bytes"),
    "pax that lies": (lambda path: pax(path, b"99999 path=a\n"), "a pax record that cannot be read"),
    "pax without end": (lambda path: pax(path, b"0 path=a\n"), "a pax record that cannot be read"),
    "sparse": (lambda path: pax(path, b"22 GNU.sparse.major=1\n"), "sparse file"),
    "absurd size": (large, "a.png has 68,157,440 bytes"),
    "empty": (lambda path: write_tar(path, {}), "holds no images"),
    "two images of a key": (lambda path: write_tar(path, {"a.png": PNG, "a.jpg": PNG}), "more than one image of"),
    "no class": (lambda path: write_tar(path, {"a.png": PNG, "a.cls": b"cat"}), "a.cls is no class but b'cat'"),
    "image without": (
        lambda path: write_tar(path, {"a.png": PNG, "b.png": PNG, "a.cls": b"1"}),
        "no label for x",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_shard_is_refused_when_it_is_opened(tmp_path: Path, case: str) -> None:
    make, message = BROKEN[case]
    with pytest.raises(RunError, match=message):
        open_dataset(make(tmp_path / "x.tar"))


def test_compressed_shards_are_told_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"")
    for path in (tmp_path, tmp_path / "x.tar.gz"):
        with pytest.raises(UsageError, match="is compressed") as error:
            open_dataset(path)
        assert error.value.help


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "elsewhere.png")
    with pytest.raises(RunError, match=r"a\.png is a symbolic link"):
        open_dataset(tmp_path / "x.zip")
