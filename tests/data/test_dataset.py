from __future__ import annotations

import gc
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from legoc_runtime.contract.stack import StackShape
from legoc_runtime.data import dataset as dataset_module
from legoc_runtime.data import open_images as open_dataset
from legoc_runtime.data import pictures
from legoc_runtime.errors import LegocError, RunError, UsageError
from tests.image_sets import encoded, labelled_zip, picture, write_zip
from tests.stacks import stack

PNG = encoded(picture(0))


def small_stack(classes: int | None = 3, channels: int = 3, grid: tuple[int, int] = (8, 8)) -> StackShape:
    return stack((4, grid), grid=grid, receptive_fields=(2, 2), depths=(1, 1), widths=(8, 8), heads=2,
                 ids=("a", "b"), channels=channels, classes=classes, train_patches=(1, 1))  # fmt: skip


def test_zip_is_read_in_the_order_of_names_whatever_the_order_of_members(tmp_path: Path) -> None:
    members = {"b/2.png": encoded(picture(2)), "a/1.png": encoded(picture(1)), "c.txt": b"no image"}
    data = open_dataset(write_zip(tmp_path / "x.zip", members, [["b/2.png", 1], ["a/1.png", 0]]))
    assert [data.name(i) for i in range(len(data))] == ["a/1.png", "b/2.png"]
    assert [data.label(i) for i in range(2)] == [0, 1]
    assert np.array_equal(data.image(1), np.asarray(picture(2)).transpose(2, 0, 1))
    assert data.image(0).dtype == np.uint8
    assert (data.channels, data.height, data.width) == (3, 8, 8)


def test_folder_of_class_folders_and_its_zip_are_the_same_set(tmp_path: Path) -> None:
    members = {f"{kind}/{i}.png": encoded(picture(i)) for i, kind in enumerate(["dog", "cat", "dog"])}
    for name, content in members.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    folder = open_dataset(tmp_path / "set")
    zipped = open_dataset(
        write_zip(tmp_path / "x.zip", members, [["dog/0.png", 1], ["cat/1.png", 0], ["dog/2.png", 1]])
    )
    assert folder.class_names == ("cat", "dog")
    assert folder.fingerprint == zipped.fingerprint
    assert np.array_equal(folder.images([0, 1, 2]), zipped.images([0, 1, 2]))


@pytest.mark.parametrize("labels", [None, "null"])
def test_set_without_labels_trains_unconditional_stacks_only(tmp_path: Path, labels: str | None) -> None:
    members = {"a.png": PNG} | ({"dataset.json": b'{"labels": null}'} if labels else {})
    data = open_dataset(write_zip(tmp_path / "x.zip", members))
    assert data.label(0) is None
    data.check_fits(small_stack(classes=None))
    with pytest.raises(UsageError, match=r"3 classes and .* has no labels"):
        data.check_fits(small_stack())


def test_colours_are_what_the_documentation_says(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    data = open_dataset(
        write_zip(
            tmp_path / "x.zip",
            {
                "clear.png": encoded(clear),
                "gray.png": encoded(picture(1, mode="L")),
                "z.jpg": encoded(picture(2), "JPEG"),
                "z.webp": encoded(picture(3), "WEBP"),
            },
        )
    )
    assert (data.image(0) == 255).all()  # transparent is white, not the colour beneath
    gray = np.asarray(picture(1, mode="L"))
    assert np.array_equal(data.image(1), np.stack([gray] * 3))
    only_gray = open_dataset(write_zip(tmp_path / "y.zip", {"gray.png": encoded(picture(1, mode="L"))}))
    assert np.array_equal(only_gray.image(0), gray[None])


def test_large_set_is_decoded_as_it_is_met_and_gives_the_same_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = labelled_zip(tmp_path / "x.zip")
    kept = open_dataset(path).images(range(10))
    monkeypatch.setattr(dataset_module, "MAX_DECODED_BYTES", 0)
    met = open_dataset(path)
    threads: set[str] = set()
    decode = pictures.decode

    def decode_and_note(*given: Any, **options: Any) -> Any:
        threads.add(threading.current_thread().name)
        return decode(*given, **options)

    monkeypatch.setattr(pictures, "decode", decode_and_note)
    assert np.array_equal(met.images([3, 1, 4, 1, 5]), kept[[3, 1, 4, 1, 5]])
    assert threads
    assert all(name.startswith("decode") for name in threads)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">II", zlib.crc32(body), 9) + b"IDAT"


BROKEN: dict[str, tuple[dict[str, bytes], object, str]] = {
    "empty": ({}, [], "holds no images"),
    "no image": ({"a.txt": b"x", "b.txt": b"y"}, None, r"holds no images \(2 x .txt\)"),
    "not an image": ({"a.png": PNG, "bad.png": b"hello"}, None, "bad.png cannot be read as an image"),
    "another size": ({"a.png": PNG, "big.png": encoded(picture(1, (8, 16)))}, None, "big.png is 8x16"),
    "a bomb": ({"bomb.png": png_header(50_000, 50_000)}, None, "bomb.png has"),
    "a small bomb": ({"bomb.png": png_header(5_000, 5_000)}, None, "bomb.png has 5000x5000"),
    "16 bits": ({"deep.png": encoded(Image.new("I;16", (8, 8)))}, None, "deep.png has pixels of mode I;16"),
    "dataset.json is no JSON": ({"a.png": PNG, "dataset.json": b"{"}, None, "dataset.json is not JSON"),
    "dataset.json is a list": ({"a.png": PNG, "dataset.json": b"[]"}, None, "dataset.json is not a mapping"),
    "labels are no list": ({"a.png": PNG}, {"a.png": 1}, "`labels` is not a list"),
    "label is text": ({"a.png": PNG}, [["a.png", "cat"]], r"`labels\[0\]` is not \[file, class\]"),
    "label is true": ({"a.png": PNG}, [["a.png", True]], r"`labels\[0\]` is not \[file, class\]"),
    "label is negative": ({"a.png": PNG}, [["a.png", -1]], r"`labels\[0\]` is not \[file, class\]"),
    "image without label": ({"a.png": PNG, "b.png": PNG}, [["a.png", 0]], "no label for b.png"),
    "label without image": ({"a.png": PNG}, [["a.png", 0], ["z.png", 0]], "labels z.png, which is not there"),
    "label twice": ({"a.png": PNG}, [["a.png", 0], ["a.png", 1]], "labels a.png more than once"),
}


@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("case", BROKEN)
def test_broken_zip_is_refused_when_it_is_opened_and_the_member_named(tmp_path: Path, case: str) -> None:
    members, labels, message = BROKEN[case]
    with pytest.raises(RunError, match=message) as error:
        open_dataset(write_zip(tmp_path / "x.zip", members, labels))
    assert error.value.help


def test_image_cut_short_is_named_when_it_is_decoded(tmp_path: Path) -> None:
    data = open_dataset(write_zip(tmp_path / "x.zip", {"a.png": PNG, "cut.png": PNG[:-60]}))
    with pytest.raises(RunError, match=r"cut\.png cannot be read as an image"):
        data.images([0])


@pytest.mark.parametrize("damage", ["half", "empty", "zeros"])
def test_damaged_zip_is_refused(tmp_path: Path, damage: str) -> None:
    path = labelled_zip(tmp_path / "x.zip")
    whole = path.read_bytes()
    path.write_bytes({"half": whole[: len(whole) // 2], "empty": b"", "zeros": bytes(len(whole))}[damage])
    with pytest.raises(RunError, match="cannot be read as a zip"):
        open_dataset(path)


def test_a_zip_in_a_cycle_is_closed_before_the_collector_meets_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order in which a cycle is finalised is any; here the zip's own finaliser comes too late."""
    monkeypatch.delattr(zipfile.ZipFile, "__del__")
    write_zip(tmp_path / "x.zip", {"a.png": encoded(picture(1))})
    cycle: list[Any] = [open_dataset(tmp_path / "x.zip")]
    cycle.append(cycle)
    unraised: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", unraised.append)
    del cycle
    gc.collect()
    assert not unraised


def test_flipped_bit_in_a_member_is_found(tmp_path: Path) -> None:
    path = labelled_zip(tmp_path / "x.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match=r"00000\.png"):
        open_dataset(path).images([0])


def test_member_that_claims_an_absurd_size_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(65 * 2**20))
    with pytest.raises(RunError, match=r"a\.png has 68,157,440 bytes"):
        open_dataset(path)


def test_label_beyond_the_stacks_classes_names_the_first_image(tmp_path: Path) -> None:
    data = open_dataset(labelled_zip(tmp_path / "x.zip", classes=5))
    with pytest.raises(UsageError, match=r"00003\.png is of class 3, the stack has classes 0 to 2") as error:
        data.check_fits(small_stack(classes=3))
    assert "classes: 5" in (error.value.help or "")
    data.check_fits(small_stack(classes=5))


def test_images_of_another_size_than_the_stack_are_refused(tmp_path: Path) -> None:
    data = open_dataset(labelled_zip(tmp_path / "x.zip", size=(8, 16)))
    data.check_fits(small_stack(grid=(8, 16)))
    with pytest.raises(UsageError, match="images of 8x16, the stack works on 16x8"):
        data.check_fits(small_stack(grid=(16, 8)))
    with pytest.raises(UsageError, match="images of 3 channels, the stack has 4"):
        data.check_fits(small_stack(grid=(8, 16), channels=4))
    # of another size too: to resize the images would not help
    with pytest.raises(UsageError, match="it works on latents") as error:
        data.check_fits(small_stack(channels=4))
    assert "legoc data encode" in (error.value.help or "")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["cat/a.png", "stray.png"], "class folders, and stray.png beside them"),
        (["cat/a.png", "dog/readme.txt"], "dog holds no images"),
        ([], "holds no images"),
    ],
)
def test_folder_that_is_neither_flat_nor_of_classes_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    with pytest.raises(RunError, match=message):
        open_dataset(tmp_path)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(PNG)
    (tmp_path / "cat" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(open_dataset(tmp_path)) == 1


def test_hidden_files_are_not_images(tmp_path: Path) -> None:
    data = open_dataset(write_zip(tmp_path / "x.zip", {"a.png": PNG, "__MACOSX/._a.png": b"x", ".b.png": b"y"}))
    assert len(data) == 1


@pytest.mark.parametrize("name", ["nothing", "text.yaml"])
def test_path_that_is_no_set_is_bad_usage(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.yaml").write_text("a: 1")
    with pytest.raises(UsageError) as error:
        open_dataset(tmp_path / name)
    assert isinstance(error.value, LegocError)
    assert name in error.value.message
