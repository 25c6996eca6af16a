"""Folders of latents: drawn by seed and position, scaled as they say, refused where they do not add up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

from legoc.spec import check_text
from legoc.starter import measure, starter_spec
from legoc_runtime.data import LatentDataset, open_dataset
from legoc_runtime.data.latents_index import LATENTS_NAME
from legoc_runtime.data.training_set import mirrored
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.randomness import Purpose, normal
from tests.data.latent_sets import ENCODER, write_latents
from tests.stacks import stack


def opened(path: Path) -> LatentDataset:
    data = open_dataset(path)
    assert isinstance(data, LatentDataset)
    return data


def test_a_latent_is_drawn_by_seed_and_position_and_scaled(tmp_path: Path) -> None:
    data = opened(write_latents(tmp_path / "set"))
    assert [data.label(i) for i in range(10)] == [i % 3 for i in range(10)]
    found = data.clean([7, 7, 2], [30, 31, 30], 5, flip=False)
    tensors = load_file(tmp_path / "set" / "latents-00001.safetensors")
    noise = normal(5, Purpose.LATENT, (3, 8, 8), 30)
    expected = (tensors["mean"][1] + tensors["std"][1] * noise - ENCODER.shift_factor) * ENCODER.scaling_factor
    assert np.allclose(found[0], expected, rtol=1e-6, atol=1e-6)
    assert not np.array_equal(found[0], found[1])
    assert np.array_equal(data.clean([7], [30], 5, flip=False)[0], found[0])
    assert found.dtype == np.float32


def test_flips_take_the_moments_of_mirror_images(tmp_path: Path) -> None:
    data = opened(write_latents(tmp_path / "set"))
    positions = range(40)
    plain = data.clean([3] * 40, positions, 0, flip=False)
    flipped = data.clean([3] * 40, positions, 0, flip=True)
    changed = [not np.array_equal(a, b) for a, b in zip(plain, flipped, strict=True)]
    assert changed == [mirrored(0, position) for position in positions]
    assert 10 < sum(changed) < 30


def test_what_does_not_fit_the_stack_is_refused(tmp_path: Path) -> None:
    data = opened(write_latents(tmp_path / "set", flipped=False))

    def shape(grid: tuple[int, int], classes: int = 3) -> Any:
        return stack((4, grid), grid=grid, receptive_fields=(2, 2), depths=(1, 1), widths=(8, 8), heads=2,
                     ids=("a", "b"), channels=3, classes=classes, train_patches=(1, 1))  # fmt: skip

    data.check_fits(shape((8, 8)))
    for change, flip, message in [
        (shape((16, 16)), False, "latents of 3x8x8, the stack works on 3x16x16"),
        (shape((8, 8), 2), False, r"latents-00000\.safetensors\[2\] is of class 2"),
        (shape((8, 8)), True, "no latents of mirror images"),
    ]:
        with pytest.raises(UsageError, match=message) as error:
            data.check_fits(change, flip=flip)
        assert error.value.help
    with pytest.raises(UsageError, match="`resize: adm` does not apply to"):
        open_dataset(tmp_path / "set", resize="adm", size=(8, 8))


def test_the_fingerprint_is_of_the_shards_and_their_scale(tmp_path: Path) -> None:
    def scaled(path: Path) -> str:
        edit(path, lambda body: body["encoder"].update(scaling_factor=0.1))
        return opened(path).fingerprint

    sets = {"a": (6, 4), "b": (6, 4), "c": (4, 6)}
    prints = {opened(write_latents(tmp_path / name, images)).fingerprint for name, images in sets.items()}
    assert len(prints) == 2
    assert scaled(tmp_path / "a") not in prints


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    body = json.loads((path / LATENTS_NAME).read_text())
    change(body)
    (path / LATENTS_NAME).write_text(json.dumps(body))


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version": (lambda body: body.update(latents_version=2), "latents version 2"),
    "outside": (lambda body: body["shards"][0].update(file="../x.safetensors"), "which is no shard"),
    "twice": (lambda body: body["shards"].append(body["shards"][0]), "or one twice"),
    "count": (lambda body: body.update(images=11), "not what its shards hold"),
    "shape": (lambda body: body.update(channels=4), "`mean` is not of the shape"),
    "dtype": (lambda body: body.update(dtype="float16"), "`mean` is not of the shape and type"),
    "missing": (lambda body: body["shards"][1].update(file="latents-00007.safetensors"), "cannot be read"),
    "extra": (lambda body: body.update(flipped=False), "holds `mean_flipped`, of which"),
    "unknown": (lambda body: body.update(more=1), "unknown more"),
    "no shards": (lambda body: body.update(shards=[], images=0), "names no shard"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_index_that_does_not_add_up_is_refused(tmp_path: Path, case: str) -> None:
    change, message = BROKEN[case]
    edit(write_latents(tmp_path / "set"), change)
    with pytest.raises(RunError, match=message) as error:
        open_dataset(tmp_path / "set")
    assert "legoc data encode" in (error.value.help or "")


def test_shard_cut_short_is_named(tmp_path: Path) -> None:
    file = write_latents(tmp_path / "set") / "latents-00001.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(RunError, match=r"latents-00001\.safetensors cannot be read"):
        open_dataset(tmp_path / "set")


def test_moment_that_is_no_number_is_named(tmp_path: Path) -> None:
    file = write_latents(tmp_path / "set") / "latents-00000.safetensors"
    content = bytearray(file.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    begin = start + header["mean"]["data_offsets"][0]
    content[begin : begin + 4] = np.float32("nan").tobytes()
    file.write_bytes(bytes(content))
    with pytest.raises(RunError, match=r"latents-00000\.safetensors\[0\] is not finite"):
        open_dataset(tmp_path / "set").clean([0], [0], 0, flip=False)


def test_a_first_spec_is_fitted_to_latents(tmp_path: Path) -> None:
    facts = measure(write_latents(tmp_path / "set"))
    assert (facts.height, facts.channels, facts.classes) == (8, 3, 3)
    assert facts.of == "the latents as they are scaled"
    spec = check_text(starter_spec(facts), "t").spec
    assert spec is not None
    open_dataset(tmp_path / "set").check_fits(spec.shape)
