"""What an evaluation says: every number named for what it is, with extractor, reference and number of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from legoc_runtime.evaluation.extractor import INCEPTION

EVAL_VERSION = 1
_NAMES = {
    "frechet": ("FID", "Fréchet distance"),
    "spatial_frechet": ("sFID", "spatial Fréchet distance"),
    "classifier_score": ("Inception Score", "classifier score"),
    "precision": ("precision", "precision"),
    "recall": ("recall", "recall"),
    "kernel": ("KID", "kernel distance"),
}


def metric_name(key: str, extractor: str) -> str:
    """What a number is called: FID and the like with Inception alone, else what it is and of which features."""
    own, plain = _NAMES[key]
    return own if extractor == INCEPTION else f"{plain} ({extractor} features)"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number.

    Attributes:
        key: which, the same for every extractor.
        name: what it may be called.
        value: the number.
        deviation: standard deviation over subsets or splits, None where there is one.
    """

    key: str
    name: str
    value: float
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class SetResult:
    """The metrics of one set of samples.

    Attributes:
        title: its path, and which part of it.
        images: pictures in it.
        metrics: those that could be computed.
        left_out: name and reason of those that could not.
    """

    title: str
    images: int
    metrics: tuple[Metric, ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of several sets against one reference.

    Attributes:
        extractor: name of the features.
        extractor_fingerprint: which weights they come from.
        reference: path of it.
        reference_images: pictures that its moments are of, None where it does not say.
        reference_kind: `pictures`, `statistics`, or both (`statistics and pictures`).
        sets: one result a set, in the order given.
        warnings: what whoever quotes a number has to know.
    """

    extractor: str
    extractor_fingerprint: str
    reference: Path
    reference_images: int | None
    reference_kind: str
    sets: tuple[SetResult, ...]
    warnings: tuple[str, ...]

    def over_sets(self) -> dict[str, tuple[float, float, float]]:
        """Minimum, mean and maximum of every metric that all sets have."""
        values = {
            key: [metric.value for one in self.sets for metric in one.metrics if metric.key == key] for key in _NAMES
        }
        return {
            key: (min(found), fmean(found), max(found)) for key, found in values.items() if len(found) == len(self.sets)
        }

    def to_json(self) -> dict[str, Any]:
        """Versioned JSON."""
        return {
            "eval_version": EVAL_VERSION,
            "extractor": {"name": self.extractor, "fingerprint": self.extractor_fingerprint},
            "reference": {
                "path": str(self.reference),
                "kind": self.reference_kind,
                "images": self.reference_images,
            },
            "sets": [_set_json(one) for one in self.sets],
            "over_sets": {
                key: {"name": metric_name(key, self.extractor), "min": low, "mean": mean, "max": high}
                for key, (low, mean, high) in self.over_sets().items()
            },
            "warnings": list(self.warnings),
        }


def _set_json(one: SetResult) -> dict[str, Any]:
    return {
        "set": one.title,
        "images": one.images,
        "metrics": {
            metric.key: {"name": metric.name, "value": metric.value}
            | ({} if metric.deviation is None else {"deviation": metric.deviation})
            for metric in one.metrics
        },
        "left_out": [{"name": name, "why": why} for name, why in one.left_out],
    }
