"""Metrics of sets against a reference: names, warnings, what is left out, the cache, the nearest pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.evaluation.arrays import numbers
from legoc_runtime.evaluation.cache import FeatureCache
from legoc_runtime.evaluation.evaluate import Evaluator
from legoc_runtime.evaluation.extractor import Extractor, Features
from legoc_runtime.evaluation.features import MAX_ROWS, SetFeatures, extract
from legoc_runtime.evaluation.nearest import find_nearest
from legoc_runtime.evaluation.nearest_sheet import nearest_sheet
from legoc_runtime.evaluation.picture_set import PictureSet, open_pictures, split
from legoc_runtime.evaluation.reference import Reference, open_reference, write_statistics
from legoc_runtime.evaluation.report import Evaluation
from legoc_runtime.evaluation.small_network import SmallExtractor
from tests.evaluation.small_sets import pixels, tiny_extractor, write_folder, write_samples

ALL = ["frechet", "spatial_frechet", "classifier_score", "precision", "recall", "kernel"]


class Colours:
    """An extractor of two numbers a picture, of any name; it counts what it is asked."""

    dimensions = 2

    def __init__(self, name: str = "colours") -> None:
        self.name, self.fingerprint, self.seen = name, f"{name} 1", 0

    def describe(self) -> str:
        return self.name

    def __call__(self, images: Tensor) -> Features:
        self.seen += len(images)
        return Features(images.float().mean(dim=(2, 3))[:, :2], None, None)


@pytest.fixture
def tiny(tmp_path: Path) -> SmallExtractor:
    return tiny_extractor(tmp_path / "tiny")


@pytest.fixture
def samples(tmp_path: Path) -> PictureSet:
    return open_pictures(write_samples(tmp_path / "samples", pixels(12)))


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    return open_reference(write_folder(tmp_path / "reference", pixels(20, seed=1)))


def features(pictures: PictureSet, extractor: Extractor, batch: int = 5) -> SetFeatures:
    return extract(pictures, extractor, batch=batch, on_pictures=lambda count: None)


def names(found: Evaluation) -> list[str]:
    return [metric.name for metric in found.sets[0].metrics]


def test_every_number_is_named_for_what_it_is(samples: PictureSet, reference: Reference, tiny: SmallExtractor):
    found = Evaluator(tiny).evaluate([samples], reference)
    assert [metric.key for metric in found.sets[0].metrics] == ALL
    assert names(found)[0] == "Fréchet distance (tiny features)"
    assert all(name.endswith("(tiny features)") for name in names(found))
    assert "FID" not in json.dumps(found.to_json() | {"warnings": []})
    assert found.warnings[0].startswith("these are numbers of tiny features: no FID")


def test_inceptions_numbers_have_the_published_names_and_a_warning_below_10000(
    samples: PictureSet, reference: Reference
):
    found = Evaluator(Colours("inception")).evaluate([samples], reference)
    assert names(found) == ["FID", "precision", "recall", "KID"]
    assert dict(found.sets[0].left_out).keys() == {"sFID", "Inception Score"}
    assert "FID from 12 pictures is too high" in found.warnings[0]
    assert "the reference has 20 pictures only" in found.warnings


def test_a_set_and_itself(reference: Reference, tiny: SmallExtractor):
    assert reference.pictures is not None
    values = {m.key: m.value for m in Evaluator(tiny).evaluate([reference.pictures], reference).sets[0].metrics}
    assert values["frechet"] == pytest.approx(0, abs=1e-6)
    assert values["spatial_frechet"] == pytest.approx(0, abs=1e-6)
    assert (values["precision"], values["recall"]) == (1, 1)


def test_several_sets_give_minimum_mean_and_maximum(tmp_path: Path, reference: Reference):
    sets = split(open_pictures(write_folder(tmp_path / "s", pixels(18))), 3)
    found = Evaluator(Colours()).evaluate(sets, reference)
    values = [one.metrics[0].value for one in found.sets]
    assert found.over_sets()["frechet"] == (min(values), pytest.approx(sum(values) / 3), max(values))
    assert len(set(values)) == 3
    assert [one.title[-6:] for one in found.sets] == [" [0:6]", "[6:12]", "12:18]"]


def test_features_do_not_depend_on_the_batch(samples: PictureSet, tiny: SmallExtractor):
    one, other = features(samples, tiny, 1), features(samples, tiny, 12)
    torch.testing.assert_close(one.rows, other.rows, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(one.pooled.covariance, other.pooled.covariance, rtol=1e-4, atol=1e-6)
    assert one.scores == pytest.approx(other.scores)


def test_vectors_beyond_the_bound_are_left_out_evenly(monkeypatch: pytest.MonkeyPatch, samples: PictureSet):
    whole = features(samples, Colours())
    assert numbers(whole.kept) == list(range(12))
    monkeypatch.setattr("legoc_runtime.evaluation.features.MAX_ROWS", 4)
    some = features(samples, Colours())
    assert numbers(some.kept) == [0, 4, 7, 11]
    assert torch.equal(some.rows, whole.rows[some.kept])
    assert torch.equal(some.pooled.covariance, whole.pooled.covariance)
    assert MAX_ROWS == 50_000


def test_the_cache_knows_pictures_and_extractor(tmp_path: Path, samples: PictureSet, reference: Reference):
    said: list[str] = []
    cache = FeatureCache(tmp_path / "cache", said.append)
    colours = Colours()
    first = Evaluator(colours, cache=cache).evaluate([samples], reference)
    assert (colours.seen, said) == (32, [])
    assert Evaluator(colours, cache=cache).evaluate([samples], reference) == first
    assert colours.seen == 32
    assert len(said) == 2
    other = Colours("others")
    Evaluator(other, cache=cache).evaluate([samples], reference)
    assert other.seen == 32
    write_samples(samples.path, pixels(12, seed=5))
    Evaluator(colours, cache=cache).features(open_pictures(samples.path))
    assert colours.seen == 44


def test_a_damaged_cache_is_made_again_and_said(tmp_path: Path, samples: PictureSet, tiny: SmallExtractor):
    said: list[str] = []
    evaluator = Evaluator(tiny, cache=FeatureCache(tmp_path / "cache", said.append))
    first = evaluator.features(samples)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    again = evaluator.features(samples)
    assert torch.equal(again.rows, first.rows)
    assert "is made again" in said[0]
    assert torch.equal(evaluator.features(samples).pooled.covariance, first.pooled.covariance)


def test_statistics_written_are_statistics_read(tmp_path: Path, samples: PictureSet, reference: Reference):
    tiny = tiny_extractor(tmp_path / "tiny")
    assert reference.pictures is not None
    write_statistics(tmp_path / "stats.npz", Evaluator(tiny).features(reference.pictures), tiny)
    by_statistics = Evaluator(tiny).evaluate([samples], open_reference(tmp_path / "stats.npz"))
    by_pictures = Evaluator(tiny).evaluate([samples], reference)
    assert by_statistics.sets[0].metrics == by_pictures.sets[0].metrics[:3]
    assert [why for _, why in by_statistics.sets[0].left_out] == ["the reference holds statistics, not pictures"] * 3
    assert (by_statistics.reference_images, by_statistics.reference_kind) == (20, "statistics")
    with pytest.raises(UsageError, match="statistics of 4 features of another extractor than colours"):
        Evaluator(Colours()).evaluate([samples], open_reference(tmp_path / "stats.npz"))


def test_published_statistics_are_inceptions(tmp_path: Path, samples: PictureSet):
    np.savez(tmp_path / "edm.npz", mu=np.zeros(2), sigma=np.eye(2))
    edm = open_reference(tmp_path / "edm.npz")
    found = Evaluator(Colours("inception")).evaluate([samples], edm)
    assert names(found) == ["FID"]
    assert "the reference does not say how many pictures it was computed from" in found.warnings
    with pytest.raises(UsageError, match="statistics of Inception's features, and --features is colours"):
        Evaluator(Colours()).evaluate([samples], edm)


def test_adm_files_give_moments_of_the_whole_set_and_vectors_of_their_pictures(tmp_path: Path, samples: PictureSet):
    arrays = {"arr_0": pixels(9, seed=3).transpose(0, 2, 3, 1), "mu": np.full(2, 100.0), "sigma": np.eye(2)}
    np.savez(tmp_path / "adm.npz", **arrays)  # pyright: ignore[reportArgumentType]
    found = Evaluator(Colours("inception")).evaluate([samples], open_reference(tmp_path / "adm.npz"))
    np.savez(tmp_path / "edm.npz", mu=arrays["mu"], sigma=arrays["sigma"])
    alone = Evaluator(Colours("inception")).evaluate([samples], open_reference(tmp_path / "edm.npz"))
    assert names(found) == ["FID", "precision", "recall", "KID"]
    assert found.sets[0].metrics[0] == alone.sets[0].metrics[0]
    assert found.reference_kind == "statistics and pictures"


def test_sets_that_do_not_belong_together(tmp_path: Path, samples: PictureSet, reference: Reference):
    large = open_pictures(write_folder(tmp_path / "large", pixels(3, size=(16, 8))))
    with pytest.raises(UsageError, match="has pictures of 16x8, and 8x8"):
        Evaluator(Colours()).evaluate([samples, large], reference)
    one = open_pictures(write_folder(tmp_path / "one", pixels(1)))
    with pytest.raises(UsageError, match="has 1 picture: a distribution needs two"):
        Evaluator(Colours()).evaluate([one], reference)
    few = open_pictures(write_folder(tmp_path / "few", pixels(3)))
    found = Evaluator(Colours()).evaluate([few], reference)
    assert [name for name, why in found.sets[0].left_out if "more than 3 pictures" in why] == [
        "precision (colours features)",
        "recall (colours features)",
    ]


def test_features_that_are_not_finite_name_the_picture(samples: PictureSet):
    class Broken(Colours):
        def __call__(self, images: Tensor) -> Features:
            found = super().__call__(images)
            if self.seen >= 7:
                found.pooled[-1] = torch.nan
            return found

    with pytest.raises(RunError, match=r"features of 000006\.png are not finite"):
        features(samples, Broken(), batch=7)


def test_a_copy_is_found_and_the_yardstick_leaves_out_the_picture_itself(
    tmp_path: Path, reference: Reference, tiny: SmallExtractor
):
    assert reference.pictures is not None
    made, real = pixels(4, seed=9), pixels(20, seed=1)
    made[2] = real[13]
    samples = open_pictures(write_folder(tmp_path / "made", made))
    found = find_nearest(samples, features(samples, tiny), reference.pictures, features(reference.pictures, tiny))
    first = found.neighbours[0]
    assert (first.sample, first.pixels.index, first.pixels.distance) == (2, 13, 0)
    assert (first.features.index, first.features.distance) == (13, 0)
    apart = real[:, None].astype(float) - real.astype(float)
    own = np.sqrt((apart**2).mean(axis=(2, 3, 4))) + np.diag([np.inf] * 20)
    assert found.pixels.lowest == pytest.approx(np.quantile(own.min(axis=1), 0.01))
    for one in found.neighbours:
        sample, match = one.sample, one.pixels
        by_hand = np.sqrt(((made[sample].astype(float) - real) ** 2).mean(axis=(1, 2, 3)))
        assert (match.index, match.distance) == (by_hand.argmin(), pytest.approx(by_hand.min()))
    near = [one.pixels.distance for one in found.neighbours if one.pixels.distance <= found.pixels.lowest]
    assert found.copies == len(near) < 4
    with Image.open(io.BytesIO(nearest_sheet(found, samples, reference.pictures))) as sheet:
        assert sheet.width > 600
        assert len(sheet.convert("RGB").getcolors(1 << 24) or []) > 50
