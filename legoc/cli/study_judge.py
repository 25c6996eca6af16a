"""How the studies hold pictures against a reference: by features, as `legoc eval` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legoc.cli.decoder import decoding_asked
from legoc.cli.study_talk import own_data
from legoc.study.spread import Spread
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from legoc.cli.sample_source import StackSource
    from legoc_runtime.contract.settings import SampleSettings
    from legoc_runtime.evaluation.evaluate import Evaluator
    from legoc_runtime.evaluation.reference import Reference
    from legoc_runtime.sampling.decoding import Decoding
    from legoc_runtime.study.roll_out import RollOut

NONE = "none"


@dataclass(frozen=True)
class Features:
    """What pictures are held against, in the words of the command line."""

    extractor: str
    inception_weights: Path | None
    reference: Path | None


class Judge:
    """Holds pictures against the reference, by features."""

    def __init__(self, evaluator: Evaluator, reference: Reference, images: int, decoding: Decoding | None) -> None:
        self._evaluator, self._reference, self._images, self._decoding = evaluator, reference, images, decoding

    def identity(self) -> dict[str, Any]:
        """What numbers depend on: extractor and reference, by their content."""
        from legoc_runtime.checkpoint.tensorfile import sha256

        extractor, pictures = self._evaluator.extractor, self._reference.pictures
        held = pictures.fingerprint() if pictures is not None else sha256(self._reference.path)
        decoder = {} if self._decoding is None else {"decoder": self._decoding.record()}
        return {"extractor": extractor.name, "fingerprint": extractor.fingerprint, "reference": held, **decoder}

    def look_at_reference(self) -> None:
        """Compute its features before pictures are sampled, so that what fails fails at once."""
        if self._reference.pictures is not None:
            self._evaluator.features(self._reference.pictures)

    def features(self, title: str, found: RollOut, sets: int) -> dict[str, Spread]:
        """Every metric, by its full name, over the sets of seeds."""
        from legoc_runtime.evaluation.picture_set import split
        from legoc_runtime.evaluation.report import metric_name
        from legoc_runtime.study.made import MadePictures

        parts = split(MadePictures(title, self.pictures(found.pictures)), sets)
        evaluation = self._evaluator.evaluate(parts, self._reference)
        name = self._evaluator.extractor.name
        return {metric_name(key, name): Spread(*values) for key, values in evaluation.over_sets().items()}

    def pictures(self, estimates: Tensor) -> Tensor:
        """What a stack made as pictures float32 [N, C, H, W]: latents are decoded."""
        return estimates if self._decoding is None else self._decoding.pictures(estimates)

    def notes(self) -> list[str]:
        """Extractor and reference, and what keeps numbers from being compared with others."""
        from legoc_runtime.evaluation.evaluate import warnings

        pictures, statistics = self._reference.pictures, self._reference.statistics
        count = statistics.images if statistics is not None else len(pictures or ())
        said = "an unknown number of" if count is None else f"{count:,}"
        head = f"features: {self._evaluator.extractor.describe()}; reference: {self._reference.path}, {said} pictures"
        decoded = [] if self._decoding is None else [f"{self._decoding.describe()}; squared errors are of latents"]
        return [head, *decoded, *warnings(self._evaluator.extractor, [self._images], count)]


def make_judge(
    source: StackSource,
    features: Features,
    settings: SampleSettings,
    *,
    device: torch.device,
    images: int,
    say: Callable[[str], None],
) -> Judge | None:
    """What holds pictures against the reference, checked against the stack; None without features.

    Args:
        source: the run.
        features: what was asked for.
        settings: how it is sampled; the VAE is among them.
        device: where features are computed.
        images: pictures in a set of seeds.
        say: told what is taken from where.

    Raises:
        UsageError: there is no reference, one of another size, or the stack makes no pictures.
    """
    manifest = source.manifest
    if features.extractor == NONE:
        if features.reference is not None or features.inception_weights is not None:
            raise UsageError("--features none looks at no reference", help="leave --ref and --inception-weights out")
        return None
    import torch

    from legoc_runtime.data.latents import is_latents
    from legoc_runtime.evaluation.cache import default_directory
    from legoc_runtime.evaluation.evaluate import Evaluator
    from legoc_runtime.evaluation.named import open_extractor
    from legoc_runtime.evaluation.reference import open_reference
    from legoc_runtime.sampling.pictures import is_picture
    from legoc_runtime.study.made import MadePictures, ReferenceCache

    decoding = decoding_asked(source, settings.decoder, None, batch=None, way=None, say=say)
    if decoding is None and not is_picture(manifest.shape.channels):
        raise UsageError(
            f"this stack makes latents of {manifest.shape.channels} channels, which have no features",
            help="give --decoder VAE, or --features none: the error to the latents without skipping is measured",
        )
    if images < 2:
        raise UsageError("a distribution needs two pictures at least", help="more --seeds, or fewer --sets")
    path = features.reference or own_data(source, "give --ref, or --features none")
    if path is None:
        raise UsageError("there is nothing to hold pictures against", help="give --ref, or --features none")
    if features.reference is None and is_latents(path):
        raise UsageError(f"{path} holds latents, and features are of pictures", help="give pictures as --ref")
    extractor = open_extractor(features.extractor, device, features.inception_weights)
    reference = open_reference(path)
    evaluator = Evaluator(extractor, batch=settings.batch, cache=ReferenceCache(default_directory(), say))
    made = (manifest.shape.channels, *manifest.shape.grid) if decoding is None else decoding.picture_shape
    evaluator.check([MadePictures("what this stack makes", torch.zeros(1, *made))], reference)
    return Judge(evaluator, reference, images, decoding)
