"""Features on disk, under a hash of the pictures and of the extractor: a set is put through a network once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from legoc_runtime.checkpoint import tensorfile
from legoc_runtime.errors import RunError
from legoc_runtime.evaluation.extractor import Extractor
from legoc_runtime.evaluation.features import MAX_ROWS, SetFeatures
from legoc_runtime.evaluation.moments import Moments
from legoc_runtime.evaluation.picture_set import PictureSet
from legoc_runtime.evaluation.score import SPLIT

CACHE_VERSION = 1


def default_directory() -> Path:
    """`legoc/features` in the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`)."""
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "legoc" / "features"


class FeatureCache:
    """Features of sets that were seen before.

    A file's name is a hash of everything that its numbers depend on, so nothing in it ever goes stale.
    """

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._say = say

    def features(self, pictures: PictureSet, extractor: Extractor, make: Callable[[], SetFeatures]) -> SetFeatures:
        """The features of a set, made and kept where they are not there yet.

        Raises:
            RunError: the cache cannot be written.
        """
        path = self._directory / f"{_key(pictures, extractor)}.safetensors"
        if path.exists():
            try:
                found = _read(path)
            except (RunError, ValueError, KeyError, TypeError) as error:
                self._say(f"{path} cannot be read and is made again: {error}")
            else:
                self._say(f"{pictures.title}: features taken from {path}")
                return found
        made = make()
        self._write(path, made)
        return made

    def _write(self, path: Path, features: SetFeatures) -> None:
        neighbour = path.with_name(f".{path.name}.{os.getpid()}")
        about = json.dumps({"count": features.count, "scores": features.scores})
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            tensorfile.save(neighbour, _tensors(features), {"features": about})
            neighbour.replace(path)
        except (OSError, SafetensorError) as error:
            neighbour.unlink(missing_ok=True)
            raise RunError(
                f"features cannot be kept in {self._directory}: {error}",
                help="free space, choose another --cache, or pass --no-cache",
            ) from error


def _key(pictures: PictureSet, extractor: Extractor) -> str:
    parts = (CACHE_VERSION, MAX_ROWS, SPLIT, extractor.fingerprint, pictures.fingerprint())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _tensors(features: SetFeatures) -> dict[str, Tensor]:
    tensors = {"rows": features.rows, "kept": features.kept}
    for name, moments in (("pooled", features.pooled), ("spatial", features.spatial)):
        if moments is not None:
            tensors |= {f"{name}.mean": moments.mean, f"{name}.covariance": moments.covariance}
    return tensors


def _read(path: Path) -> SetFeatures:
    tensors = tensorfile.load(path)
    about = json.loads(tensorfile.metadata(path)["features"])
    moments = {
        name: Moments(tensors[f"{name}.mean"], tensors[f"{name}.covariance"])
        for name in ("pooled", "spatial")
        if f"{name}.mean" in tensors
    }
    scores = None if about["scores"] is None else tuple(float(score) for score in about["scores"])
    return SetFeatures(
        int(about["count"]), moments["pooled"], moments.get("spatial"), tensors["rows"], tensors["kept"], scores
    )
