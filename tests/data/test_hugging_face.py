"""Sets saved by Hugging Face's `datasets`: read by the library itself, refused in words where it is not installed."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from legoc_runtime.data import open_images as open_dataset
from legoc_runtime.errors import RunError, UsageError
from tests.image_sets import encoded, picture


def test_a_set_without_the_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    for name in ("dataset_info.json", "state.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match="`datasets`, which is not installed") as error:
        open_dataset(tmp_path)
    assert "legoc[datasets]" in (error.value.help or "")


def test_several_splits_are_named(tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text("{}")
    for split in ("test", "train"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "state.json").write_text("{}")
    with pytest.raises(UsageError, match="several splits: test, train"):
        open_dataset(tmp_path)


def library() -> Any:
    return import_module("datasets")


def saved(path: Path, **columns: tuple[list[Any], Any]) -> Path:
    """A set of columns, each with its values and its feature."""
    library().disable_progress_bars()
    features = library().Features({name: feature for name, (_, feature) in columns.items()})
    schema = features.arrow_schema
    table = import_module("pyarrow").table({name: values for name, (values, _) in columns.items()}, schema=schema)
    info = library().DatasetInfo(features=features)
    # a fingerprint of our own: to make one, the library pickles Arrow's types, which not every version of both can
    library().Dataset(table, info=info, fingerprint="test").save_to_disk(str(path))
    return path


def images(count: int) -> tuple[list[Any], Any]:
    return [{"bytes": encoded(picture(i)), "path": None} for i in range(count)], library().Image()


@pytest.mark.datasets
def test_a_saved_set_is_read_with_its_classes(tmp_path: Path) -> None:
    kinds = library().ClassLabel(names=["cat", "dog"])
    notes = library().Value("string")
    data = open_dataset(saved(tmp_path / "set", image=images(4), kind=([0, 1, 1, 0], kinds), note=(["a"] * 4, notes)))
    assert data.class_names == ("cat", "dog")
    assert [data.label(i) for i in range(4)] == [0, 1, 1, 0]
    assert np.array_equal(data.images([2])[0], np.asarray(picture(2)).transpose(2, 0, 1))
    numbers = library().Value("int64")
    assert open_dataset(saved(tmp_path / "plain", image=images(4), label=([5, 6, 7, 8], numbers))).label(3) == 8
    assert open_dataset(saved(tmp_path / "bare", image=images(2))).labels.why_absent == "it has no column of classes"


@pytest.mark.datasets
def test_a_set_without_images_or_with_holes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="one column of images, it has none"):
        open_dataset(saved(tmp_path / "text", note=(["a"], library().Value("string"))))
    with pytest.raises(RunError, match="row 0 has no class in `label`"):
        open_dataset(saved(tmp_path / "holes", image=images(1), label=([None], library().Value("int64"))))


@pytest.mark.datasets
def test_a_damaged_set_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "set", image=images(2))
    next(path.glob("*.arrow")).write_bytes(b"damaged")
    with pytest.raises(RunError, match="cannot be read"):
        open_dataset(path)
