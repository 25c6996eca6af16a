"""All metrics of sets of samples against one reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, pstdev

from torch import Tensor

from legoc_runtime.errors import UsageError
from legoc_runtime.evaluation.cache import FeatureCache
from legoc_runtime.evaluation.extractor import INCEPTION, Extractor
from legoc_runtime.evaluation.features import OnPictures, SetFeatures, extract
from legoc_runtime.evaluation.frechet import frechet_distance
from legoc_runtime.evaluation.kernel import kernel_distance
from legoc_runtime.evaluation.manifold import NEIGHBOURS, precision_and_recall
from legoc_runtime.evaluation.moments import Moments
from legoc_runtime.evaluation.picture_set import PictureSet
from legoc_runtime.evaluation.reference import Reference
from legoc_runtime.evaluation.report import Evaluation, Metric, SetResult, metric_name

COMPARABLE_IMAGES = 10_000
"""Below so many pictures every number carries a warning."""


class Evaluator:
    """Computes features through the cache, and metrics from them."""

    def __init__(
        self,
        extractor: Extractor,
        *,
        batch: int = 64,
        cache: FeatureCache | None = None,
        on_pictures: OnPictures = lambda count: None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Choose how features are computed.

        Args:
            extractor: computes them.
            batch: pictures at once.
            cache: where they are kept; None keeps none.
            on_pictures: told how many further pictures are done.
            say: told what goes on.
        """
        self.extractor = extractor
        self._batch, self._cache, self._on_pictures, self._say = batch, cache, on_pictures, say

    def features(self, pictures: PictureSet) -> SetFeatures:
        """The features of a set.

        Raises:
            UsageError: it has fewer than two pictures.
            RunError: a picture cannot be read.
        """
        if len(pictures) < 2:
            raise UsageError(
                f"{pictures.path} has {len(pictures)} picture{'' if len(pictures) == 1 else 's'}: "
                "a distribution needs two at least",
                help="sample more seeds",
            )

        def make() -> SetFeatures:
            return extract(pictures, self.extractor, batch=self._batch, on_pictures=self._on_pictures)

        return make() if self._cache is None else self._cache.features(pictures, self.extractor, make)

    def evaluate(self, sets: Sequence[PictureSet], reference: Reference) -> Evaluation:
        """All metrics of every set.

        Raises:
            UsageError: a set is too small, of another size than the reference, or the reference of other features.
            RunError: pictures cannot be read.
        """
        self.check(sets, reference)
        held_against = None if reference.pictures is None else self.features(reference.pictures)
        results: list[SetResult] = []
        for pictures in sets:
            features = self.features(pictures)
            self._say(f"{pictures.title}: metrics of {features.count:,} pictures")
            results.append(self._result(pictures, features, reference, held_against))
        statistics = reference.statistics
        images = statistics.images if statistics else len(reference.pictures or ())
        kinds = (("statistics", statistics), ("pictures", reference.pictures))
        return Evaluation(
            self.extractor.name,
            self.extractor.fingerprint,
            reference.path,
            images,
            " and ".join(name for name, there in kinds if there is not None),
            tuple(results),
            tuple(warnings(self.extractor, [len(one) for one in sets], images)),
        )

    def check(self, sets: Sequence[PictureSet], reference: Reference) -> None:
        """Raise UsageError where sets and reference do not belong together, before any work is done."""
        if reference.statistics is not None:
            reference.statistics.check_fits(self.extractor, reference.path)
        height, width = (reference.pictures or sets[0]).size
        for pictures in sets:
            if pictures.size != (height, width):
                found = "x".join(map(str, pictures.size))
                raise UsageError(
                    f"{pictures.path} has pictures of {found}, and {height}x{width} is the size of those that it is "
                    "held against",
                    help="a resized picture is another picture: give a reference of the samples' own size",
                )

    def _result(
        self, pictures: PictureSet, found: SetFeatures, reference: Reference, held: SetFeatures | None
    ) -> SetResult:
        moments = reference.statistics or held
        assert moments is not None, "a reference holds pictures or statistics"
        sheet = _Sheet(self.extractor.name)
        sheet.put("frechet", frechet_distance(found.pooled, moments.pooled))
        _spatial(sheet, found.spatial, moments.spatial)
        if found.scores is None:
            sheet.leave("classifier_score", "these features come from no classifier")
        else:
            deviation = pstdev(found.scores) if len(found.scores) > 1 else None
            sheet.put("classifier_score", fmean(found.scores), deviation)
        _by_vectors(sheet, found.rows, None if held is None else held.rows)
        return SetResult(pictures.title, found.count, tuple(sheet.metrics), tuple(sheet.left_out))


class _Sheet:
    """Metrics of a set as they come in, under their names."""

    def __init__(self, extractor: str) -> None:
        self._extractor = extractor
        self.metrics: list[Metric] = []
        self.left_out: list[tuple[str, str]] = []

    def put(self, key: str, value: float, deviation: float | None = None) -> None:
        self.metrics.append(Metric(key, metric_name(key, self._extractor), value, deviation))

    def leave(self, key: str, why: str) -> None:
        self.left_out.append((metric_name(key, self._extractor), why))


def _spatial(sheet: _Sheet, found: Moments | None, held: Moments | None) -> None:
    """The distance of features that keep their place."""
    if found is None:
        sheet.leave("spatial_frechet", "these features have no place in the picture")
    elif held is None:
        sheet.leave("spatial_frechet", "the reference holds no `mu_s` and `sigma_s`")
    elif held.mean.shape != found.mean.shape:
        sheet.leave("spatial_frechet", f"`mu_s` has {len(held.mean)} numbers, the features {len(found.mean)}")
    else:
        sheet.put("spatial_frechet", frechet_distance(found, held))


def _by_vectors(sheet: _Sheet, found: Tensor, held: Tensor | None) -> None:
    """The metrics that need the reference's single vectors, not their moments alone."""
    if held is None:
        for key in ("precision", "recall", "kernel"):
            sheet.leave(key, "the reference holds statistics, not pictures")
        return
    if min(len(found), len(held)) > NEIGHBOURS:
        precision, recall = precision_and_recall(found, held)
        sheet.put("precision", precision)
        sheet.put("recall", recall)
    else:
        for key in ("precision", "recall"):
            sheet.leave(key, f"it needs more than {NEIGHBOURS} pictures on both sides")
    sheet.put("kernel", *kernel_distance(found, held))


def warnings(extractor: Extractor, images: Sequence[int], reference_images: int | None) -> list[str]:
    """What whoever quotes a number has to know."""
    found: list[str] = []
    inception = extractor.name == INCEPTION
    if not inception:
        found.append(
            f"these are numbers of {extractor.name} features: no FID, and not to be held against numbers of others"
        )
    small = min(images)
    if small < COMPARABLE_IMAGES:
        what = metric_name("frechet", extractor.name)
        found.append(
            f"{what} from {small:,} pictures is too high by an amount that depends on their number: compare it only "
            f"with one from as many; figures in papers take 50,000"
        )
    if small <= extractor.dimensions:
        found.append(
            f"{small:,} pictures cannot fill {extractor.dimensions:,} dimensions: the distance is dominated by that"
        )
    if len(set(images)) > 1:
        found.append("the sets are of different sizes, so their distances cannot be compared with each other")
    if reference_images is None:
        found.append("the reference does not say how many pictures it was computed from")
    elif reference_images < COMPARABLE_IMAGES:
        found.append(f"the reference has {reference_images:,} pictures only")
    return found
