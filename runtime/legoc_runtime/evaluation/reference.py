"""What samples are held against: pictures, or the mean and covariance of features computed by somebody else."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.evaluation.arrays import as_tensor
from legoc_runtime.evaluation.extractor import INCEPTION, Extractor
from legoc_runtime.evaluation.features import SetFeatures
from legoc_runtime.evaluation.moments import Moments
from legoc_runtime.evaluation.npz import Npz
from legoc_runtime.evaluation.picture_set import PICTURES_NAME, NpzPictures, PictureSet, open_pictures
from legoc_runtime.sampling.pictures import write_whole

_PICKLES = (".pkl", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True, slots=True)
class Statistics:
    """Moments of features that a file holds.

    Attributes:
        pooled: of the pooled features (`mu`, `sigma`).
        spatial: of the spatial ones (`mu_s`, `sigma_s`), None where the file has none.
        images: pictures that they were computed from, None where the file does not say.
        extractor: fingerprint of the extractor; None in files of ADM and EDM, which are always Inception's.
    """

    pooled: Moments
    spatial: Moments | None
    images: int | None
    extractor: str | None

    def check_fits(self, extractor: Extractor, path: Path) -> None:
        """Raise UsageError unless the statistics are of this extractor's features."""
        dimensions = len(self.pooled.mean)
        if self.extractor is None and extractor.name != INCEPTION:
            raise UsageError(
                f"{path} holds statistics of Inception's features, and --features is {extractor.name}",
                help="give the pictures themselves as --ref, or --features inception",
            )
        if self.extractor not in (None, extractor.fingerprint) or dimensions != extractor.dimensions:
            raise UsageError(
                f"{path} holds statistics of {dimensions} features of another extractor than {extractor.name}",
                help="give the pictures themselves as --ref",
            )


@dataclass(frozen=True, slots=True)
class Reference:
    """What samples are held against.

    Attributes:
        path: as given.
        pictures: the pictures; None where there are statistics only.
        statistics: moments, which go before those of the pictures; None where there are pictures only. ADM's files
            have both: moments of a whole data set, and ten thousand of its pictures.
    """

    path: Path
    pictures: PictureSet | None
    statistics: Statistics | None


def open_reference(path: Path) -> Reference:
    """The reference at a path: a folder, a zip, or an `.npz` of ADM or EDM.

    Raises:
        UsageError: there is nothing there, or a pickle.
        RunError: it cannot be read, or holds neither pictures nor statistics.
    """
    if path.suffix.lower() in _PICKLES:
        raise UsageError(
            f"{path} is a pickle, which can run code: it is not read",
            help="give the data set itself, or statistics as .npz with `mu` and `sigma`",
        )
    if path.suffix.lower() != ".npz":
        return Reference(path, open_pictures(path), None)
    npz = Npz(path)
    statistics = _statistics(npz) if {"mu", "sigma"} <= npz.arrays.keys() else None
    pictures = NpzPictures(npz) if PICTURES_NAME in npz.arrays or statistics is None else None
    return Reference(path, pictures, statistics)


def write_statistics(path: Path, features: SetFeatures, extractor: Extractor) -> None:
    """Write moments in the form of ADM's and EDM's files, with the extractor and the number of pictures beside them.

    Raises:
        RunError: the file cannot be written.
    """
    arrays: dict[str, Any] = {"images": np.array(features.count), "extractor": np.array(extractor.fingerprint)}
    arrays |= {"mu": features.pooled.mean.numpy(), "sigma": features.pooled.covariance.numpy()}
    if features.spatial is not None:
        arrays |= {"mu_s": features.spatial.mean.numpy(), "sigma_s": features.spatial.covariance.numpy()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_whole(path, buffer.getvalue())


def _statistics(npz: Npz) -> Statistics:
    spatial = _moments(npz, "mu_s", "sigma_s") if {"mu_s", "sigma_s"} <= npz.arrays.keys() else None
    images, extractor = (npz.array(name) if name in npz.arrays else None for name in ("images", "extractor"))
    try:
        count = None if images is None else int(cast("NDArray[np.int64]", images))
    except (TypeError, ValueError) as error:
        raise RunError(f"{npz.path}: `images` is no number") from error
    return Statistics(_moments(npz, "mu", "sigma"), spatial, count, None if extractor is None else str(extractor))


def _moments(npz: Npz, mean: str, covariance: str) -> Moments:
    mu, sigma = npz.array(mean), npz.array(covariance)
    if mu.ndim != 1 or sigma.shape != mu.shape * 2 or mu.dtype.kind != "f" or sigma.dtype.kind != "f":
        raise RunError(f"{npz.path}: `{mean}` {mu.shape} and `{covariance}` {sigma.shape} are no mean and covariance")
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise RunError(f"{npz.path}: `{mean}` or `{covariance}` holds values that are not finite")
    return Moments(*(as_tensor(array.astype(np.float64)) for array in (mu, sigma)))
