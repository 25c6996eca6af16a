"""`legoc data check` and `info`: every fault that was put into a set is found, and nothing in a good one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from legoc.__main__ import main
from legoc.data.near import difference, look_of
from tests.data.latent_sets import write_latents
from tests.image_sets import encoded, labelled_zip, picture, write_zip

SPEC = """\
legoc: 1
name: t
grid: {height: 16, width: 16, channels: 3}
conditioning: {classes: 3}
diffusion: {kind: edm, sigma_data: 0.58}
brick_defaults: {width: 16, heads: 2, depth: 1}
bricks: [{id: a, size: 4}, {id: b, size: image}]
data: {path: set.zip}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["data", "check", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def kinds(report: dict[str, Any]) -> dict[str, int]:
    return {found["kind"]: found["count"] for found in report["findings"]}


def scene(seed: int, size: int = 16) -> Image.Image:
    """A picture with forms in it, which noise has not: what looks alike survives scaling."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)


def test_a_good_set_has_no_findings(capsys: pytest.CaptureFixture[str]) -> None:
    labelled_zip(Path("set.zip"), size=(16, 16))
    code, report = check(capsys, "--spec", "spec.yaml")
    assert (code, report["findings"], report["examples"]) == (0, [], 10)
    pixels = np.stack([np.asarray(picture(i, (16, 16))) for i in range(10)]) / 127.5 - 1
    assert report["values"]["std"] == pytest.approx(pixels.std(), rel=1e-6)
    assert report["values"]["mean"] == pytest.approx(pixels.mean(), abs=1e-6)
    assert report["sizes"] == [{"height": 16, "width": 16, "examples": 10}]
    assert [each["examples"] for each in report["classes"]] == [4, 3, 3]


def test_everything_is_found_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    good = {f"{i}.png": encoded(picture(i, (16, 16))) for i in range(4)}
    members = good | {
        "again.png": good["0.png"],
        "cut.png": good["1.png"][:-80],
        "none.png": b"hello",
        "large.png": encoded(picture(9, (24, 16))),
        "white.png": encoded(Image.new("RGB", (16, 16), "white")),
    }
    labels = {"again.png": 2, "large.png": 7}
    write_zip(Path("set.zip"), members, [[name, labels.get(name, 0)] for name in members])
    code, report = check(capsys, "set.zip", "--spec", "spec.yaml")
    assert code == 1
    assert kinds(report) == {"unreadable": 2, "size": 1, "labels": 1, "classes": 0, "duplicates": 1, "flat": 1}
    by_kind = {found["kind"]: found for found in report["findings"]}
    assert by_kind["duplicates"]["examples"] == ["again.png = 0.png"]
    assert "1 of them under another class" in by_kind["duplicates"]["message"]
    assert by_kind["labels"]["examples"] == ["large.png"]
    assert any("none.png" in name for name in by_kind["unreadable"]["examples"])
    assert all(found["help"] for found in report["findings"])
    assert main(["data", "check", "set.zip"]) == 1
    text = capsys.readouterr().out
    assert "large.png: 24x16" in text
    assert text.endswith("findings\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("diffusion.sigma_data=0.5", []),
        ("diffusion.sigma_data=1", ["sigma"]),
        ("conditioning.classes=2", ["labels"]),
        ("conditioning.classes=5", ["classes"]),
        ("conditioning.classes=null", []),
        ("grid.height=32", ["size"]),
        ("grid.channels=1", ["channels"]),
        ("data.resize=adm", []),
    ],
)
def test_a_set_is_held_against_its_spec(capsys: pytest.CaptureFixture[str], change: str, expected: list[str]) -> None:
    labelled_zip(Path("set.zip"), size=(16, 16))
    code, report = check(capsys, "--spec", "spec.yaml", "--set", change)
    assert (code, list(kinds(report))) == (int(bool(expected)), expected)


def test_held_out_images_are_found_again_though_they_were_saved_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    write_zip(Path("set.zip"), {f"{i}.png": encoded(scene(i)) for i in range(30)})
    brighter = Image.fromarray((np.asarray(scene(7), dtype=np.float64) * 0.98 + 2).astype(np.uint8))
    held = {"same.png": encoded(scene(3)), "jpeg.jpg": encoded(scene(5), "JPEG"), "bright.png": encoded(brighter),
            "large.png": encoded(scene(9, 40)), "new.png": encoded(scene(77)), "bad.png": b"x"}  # fmt: skip
    write_zip(Path("held.zip"), held)
    code, report = check(capsys, "set.zip", "--held-out", "held.zip")
    assert (code, kinds(report)) == (1, {"unreadable": 1, "held-out": 4})
    found = next(each for each in report["findings"] if each["kind"] == "held-out")
    pairs = {"same.png ~ 3.png", "jpeg.jpg ~ 5.png", "bright.png ~ 7.png", "large.png ~ 9.png"}
    assert set(found["examples"]) == pairs
    assert "1 to the pixel" in found["message"]


def test_what_looks_alike_has_nearly_the_same_hash() -> None:
    def pixels(image: Image.Image) -> Any:
        return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)

    one, other = pixels(scene(1)), pixels(scene(1, 50))
    assert (look_of(one) ^ look_of(other)).bit_count() <= 3
    assert (look_of(one) ^ look_of(pixels(scene(2)))).bit_count() > 10
    assert difference(one, one) == 0
    assert difference(one, other) < 5 < 30 < difference(one, pixels(scene(2)))


def test_values_that_were_scaled_wrongly_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    dark = {f"{i}.png": encoded(Image.fromarray(np.asarray(picture(i)) // 255)) for i in range(3)}
    write_zip(Path("set.zip"), dark)
    assert {"range", "sigma"} <= set(kinds(check(capsys, "set.zip")[1]))


def test_latents_are_checked_with_their_checksums(capsys: pytest.CaptureFixture[str]) -> None:
    file = write_latents(Path("latents"), flipped=False) / "latents-00001.safetensors"
    code, report = check(capsys, "latents")
    assert (code, report["form"], report["values"]["std"]) == (0, "latents", 0.6)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    flip = ["--spec", "spec.yaml", "--set", "train.flip=true"]
    assert list(kinds(check(capsys, "latents", *flip)[1])) == ["checksum", "size", "flip"]
    assert main(["data", "check", "latents", "--held-out", "latents"]) == 2


@pytest.mark.parametrize("labelled", [True, False])
def test_a_sheet_shows_every_class_and_crosses_out_what_cannot_be_read(labelled: bool) -> None:
    members = {f"{i}.png": encoded(Image.new("RGB", (16, 16), (10 * i, 200, 0))) for i in range(6)} | {"7.png": b"x"}
    write_zip(Path("set.zip"), members, [[name, i % 2] for i, name in enumerate(members)] if labelled else None)
    assert main(["data", "check", "set.zip", "--sheet", "sheet.png"]) == 1
    sheet = np.asarray(Image.open("sheet.png").convert("RGB"))
    colours = {tuple(pixel) for pixel in sheet.reshape(-1, 3).tolist()}
    assert {(10 * i, 200, 0) for i in range(6)} <= colours
    assert (0xC0, 0x39, 0x2B) in colours


def test_info_reads_no_pixels(capsys: pytest.CaptureFixture[str]) -> None:
    whole = encoded(picture(0))
    write_zip(Path("set.zip"), {"a/1.png": whole, "b.png": whole[:-60]}, [["a/1.png", 0], ["b.png", 1]])
    assert main(["data", "info", "set.zip", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["data_info_version"], report["examples"]) == (1, 2)
    assert "values" not in report
    write_latents(Path("latents"))
    assert main(["data", "info", "latents"]) == 0
    assert "shape     3x8x8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is no set to check"),
        (["set.zip"], "there is no image set at set.zip"),
        (["--set", "grid.height=8"], "--set changes a spec, and there is none"),
        (["set.zip", "--sheet", "sheet.txt"], "sheet.txt is not named as a picture"),
    ],
)
def test_what_makes_no_sense_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(["data", "check", *arguments]) == 2
    assert message in capsys.readouterr().err
