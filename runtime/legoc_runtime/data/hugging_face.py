"""Sets that the `datasets` library of Hugging Face saved to a folder (`save_to_disk`), read by that library.

It is imported only for such a set. Nothing is fetched: the folder holds everything, and no code of a set is run.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

from legoc_runtime.data.labels import Labels
from legoc_runtime.data.sources import ImageSource, check_bytes
from legoc_runtime.errors import RunError, UsageError

INFO_NAME = "dataset_info.json"
SPLITS_NAME = "dataset_dict.json"
STATE_NAME = "state.json"

LABEL_COLUMNS = ("label", "labels", "class", "fine_label")
"""Names of a column of whole numbers that is taken for classes where no column says that it holds them."""


class HuggingFaceSource(ImageSource):
    """A saved `Dataset`: its one column of images, and its column of classes where there is one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        library = _library(path)
        try:
            table: Any = library.load_from_disk(str(path))
        except Exception as error:  # the library's own kinds, pyarrow's among them, have no base in common
            raise RunError(f"{path} cannot be read: {error}", help="save it again with `save_to_disk`") from error
        features = cast("dict[str, Any]", dict(table.features))
        images = [name for name, feature in features.items() if isinstance(feature, library.Image)]
        if len(images) != 1:
            held = ", ".join(images) or "none"
            raise RunError(
                f"{path} must have one column of images, it has {held}", help="keep one with `select_columns`"
            )
        # the encoded bytes as Arrow holds them: the library itself would decode every image that it hands out
        self._images: Any = table.data.column(images[0])
        self.names = tuple(f"{i:08d}" for i in range(len(table)))
        if not self.names:
            raise RunError(f"{path} holds no images", help="save a split that has some")
        self.labels = _labels(path, table, features, library)

    def open(self, index: int) -> AbstractContextManager[IO[bytes]]:
        """The encoded image as a file."""
        image = cast("dict[str, Any]", self._images[index].as_py() or {})
        encoded: bytes | None = image.get("bytes")
        if encoded is None:
            raise RunError(
                f"{self.where(index)} holds no image, or the path of one",
                help="save the set with its images inside: `cast_column` to Image, then `save_to_disk`",
            )
        check_bytes(self.where(index), len(encoded))
        return io.BytesIO(encoded)


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder is a saved set.

    Raises:
        UsageError: it holds several splits, of which one must be named.
    """
    if (path / SPLITS_NAME).is_file():
        splits = sorted(part.name for part in path.iterdir() if (part / STATE_NAME).is_file())
        raise UsageError(
            f"{path} holds several splits: {', '.join(splits) or 'none that is whole'}",
            help=f"give one of them: {path / (splits[0] if splits else 'train')}",
        )
    return (path / INFO_NAME).is_file() and (path / STATE_NAME).is_file()


def _library(path: Path) -> Any:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise UsageError(
            f"{path} is a set of Hugging Face's `datasets`, which is not installed",
            help="pip install 'legoc[datasets]', or save the images as a zip, folder or shards",
        ) from error


def _labels(path: Path, table: Any, features: dict[str, Any], library: Any) -> Labels:
    named = [name for name, feature in features.items() if isinstance(feature, library.ClassLabel)]
    plain = [name for name in LABEL_COLUMNS if str(getattr(features.get(name), "dtype", "")).startswith("int")]
    column = (named or plain or [None])[0]
    if column is None:
        return Labels.absent("it has no column of classes")
    classes = cast("list[object]", table.data.column(column).to_pylist())
    for i, value in enumerate(classes):
        if not isinstance(value, int) or value < 0:
            raise RunError(f"{path}: row {i} has no class in `{column}` but {value!r}", help="label every image")
    names = tuple(cast("list[str]", features[column].names)) if column in named else None
    return Labels(tuple(cast("list[int]", classes)), names)
