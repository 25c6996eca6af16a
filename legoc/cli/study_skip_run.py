"""The second half of `legoc study skip`: what is loaded, sampled, held against the reference and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legoc.cli.output import echo
from legoc.cli.study_talk import keeping, leave, place_for
from legoc.study.directory import Study, open_study
from legoc.study.skip import WHOLE, Rest, SkipPoint, plots, table
from legoc.study.spread import Spread
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    import torch

    from legoc.cli.picture_bar import PictureBar
    from legoc.cli.sample_source import StackSource
    from legoc_runtime.backends.base import Choice
    from legoc_runtime.contract.settings import SampleSettings
    from legoc_runtime.evaluation.evaluate import Evaluator
    from legoc_runtime.evaluation.reference import Reference
    from legoc_runtime.study.roll_out import RollOut, RollOuts

NONE = "none"


@dataclass(frozen=True)
class Features:
    """What pictures are held against, in the words of the command line."""

    extractor: str
    inception_weights: Path | None
    reference: Path | None


@dataclass(frozen=True)
class Request:
    """A study.

    Attributes:
        source: the run's build and weights.
        settings: how it is sampled.
        rests: the points, without the one at which nothing is left out.
        seeds: as they were written.
        sets: so many sets of them.
        features: what pictures are held against.
        choice: the backend.
        device: where it is computed.
        quiet: whether no progress is shown.
    """

    source: StackSource
    settings: SampleSettings
    rests: tuple[Rest, ...]
    seeds: str
    sets: int
    features: Features
    choice: Choice
    device: torch.device
    quiet: bool


def study_skip(request: Request, out: Path | None, *, json: bool) -> None:
    """Measure the points that are not there yet, and write tables and plots of those asked for.

    Raises:
        UsageError: the request means nothing for this stack, or the folder holds something else.
        RunError: a picture is not finite, or a file cannot be written.
    """
    from legoc_runtime.contract.request import parse_seeds
    from legoc_runtime.sampling.plan import make_plan

    manifest = request.source.manifest
    seeds = parse_seeds(request.seeds)
    if len(seeds) % request.sets:
        raise UsageError(
            f"{len(seeds)} seeds are not {request.sets} sets of one length", help="choose other --seeds or --sets"
        )
    make_plan(manifest.shape, manifest.policy("none"), request.settings, seeds)
    judge = _judge(request, len(seeds) // request.sets)
    asked = _asked(request, judge)
    place = place_for(request.source, "skip", asked, out)
    keys = [WHOLE, *(rest.key for rest in request.rests)]
    with open_study(place, "skip", asked, SkipPoint) as study, keeping(study):
        missing = [rest for rest in request.rests if rest.key not in study.points]
        if missing or WHOLE not in study.points:
            _measure(request, study, missing, seeds, judge)
        else:
            echo(f"{place}: all {len(keys)} points are there", err=True)
        points = [study.points[key] for key in keys]
        notes = [*_notes(request), *(judge.notes() if judge else ())]
        title = f"{manifest.name}: leaving a brick out in a share of the steps"
        leave(study, keys, title, [table(points)], plots(points, _below(request)), notes, json=json)


def _asked(request: Request, judge: _Judge | None) -> dict[str, Any]:
    """What every point depends on; the points themselves may become more."""
    weights, manifest = request.source.record(), request.source.manifest
    of_the_call = ("seeds", "classes", "batch", "skip_policy", "ema")
    settings = {name: value for name, value in asdict(request.settings).items() if name not in of_the_call}
    return {
        "stack": manifest.name,
        "spec": manifest.spec_hash,
        "weights": weights.weights_sha256,
        "sampling": settings,
        "seeds": request.seeds,
        "sets": request.sets,
        "features": judge.identity() if judge else NONE,
        "device": request.device.type,
        "backend": request.choice.backend.name,
    }


def _measure(
    request: Request, study: Study[SkipPoint], missing: Sequence[Rest], seeds: tuple[int, ...], judge: _Judge | None
) -> None:
    import torch

    from legoc.cli.picture_bar import PictureBar
    from legoc_runtime.contract.schedule import evaluations

    shape = request.source.manifest.shape
    configurations = [shape.ids, *(tuple(id for id in shape.ids if id != rest.brick) for rest in missing)]
    stack = request.source.load(
        list(dict.fromkeys(configurations)),
        backend=request.choice.backend,
        device=request.device,
        dtype=torch.float32,
    )
    calls = len(evaluations(request.settings.sampler, request.settings.steps))
    echo(f"{len(missing) + 1} roll-outs of {len(seeds)} seeds, {request.settings.steps} steps", err=True)
    if judge:
        judge.look_at_reference()
    with PictureBar("sampling", (len(missing) + 1) * len(seeds), rounds=calls, quiet=request.quiet) as bar:
        rolls = _rolls(request, stack, seeds, bar)
        if WHOLE not in study.points:
            study.add(_point(request, rolls, None, rolls.whole, judge))
        for rest in missing:
            study.add(_point(request, rolls, rest, rolls.roll(rest.policy()), judge))


def _rolls(request: Request, stack: Any, seeds: tuple[int, ...], bar: PictureBar) -> RollOuts:
    from legoc_runtime.study.roll_out import RollOuts

    shape = request.source.manifest.shape
    # what is compiled or allocated once is no part of what the first point takes
    RollOuts(stack, shape, replace(request.settings, steps=2), seeds[: request.settings.batch], device=request.device)
    return RollOuts(stack, shape, request.settings, seeds, device=request.device, on_call=bar.advance)


def _point(request: Request, rolls: RollOuts, rest: Rest | None, found: RollOut, judge: _Judge | None) -> SkipPoint:
    from legoc.draw.timeline import macs_saved
    from legoc_runtime.contract.policy import Policy, tabulate
    from legoc_runtime.contract.schedule import evaluations, sampling_levels

    shape, settings = request.source.manifest.shape, request.settings
    levels = sampling_levels(settings, shape.diffusion)
    policy = Policy(NONE) if rest is None else rest.policy()
    run = tabulate(policy, shape.ids, levels)
    breaks = run.breaks()
    errors = rolls.squared_errors(found).reshape(request.sets, -1).mean(dim=1)
    return SkipPoint(
        brick="" if rest is None else rest.brick,
        end="" if rest is None else rest.end,
        share=0.0 if rest is None else rest.share,
        steps=0 if rest is None else run.skipped(rest.brick),
        sigma=breaks[0].sigma if breaks else None,
        macs=1 - macs_saved(shape, run, evaluations(settings.sampler, settings.steps)),
        seconds=found.seconds,
        time=found.time,
        squared_error=Spread.of([float(error) for error in errors]),
        features=judge.features(policy.name, found, request.sets) if judge else {},
    )


class _Judge:
    """Holds pictures against the reference, by features."""

    def __init__(self, evaluator: Evaluator, reference: Reference, images: int) -> None:
        self._evaluator, self._reference, self._images = evaluator, reference, images

    def identity(self) -> dict[str, str]:
        """What numbers depend on: extractor and reference, by their content."""
        from legoc_runtime.checkpoint.tensorfile import sha256

        extractor, pictures = self._evaluator.extractor, self._reference.pictures
        held = pictures.fingerprint() if pictures is not None else sha256(self._reference.path)
        return {"extractor": extractor.name, "fingerprint": extractor.fingerprint, "reference": held}

    def look_at_reference(self) -> None:
        """Compute its features before pictures are sampled, so that what fails fails at once."""
        if self._reference.pictures is not None:
            self._evaluator.features(self._reference.pictures)

    def features(self, title: str, found: RollOut, sets: int) -> dict[str, Spread]:
        """Every metric, by its full name, over the sets of seeds."""
        from legoc_runtime.evaluation.picture_set import split
        from legoc_runtime.evaluation.report import metric_name
        from legoc_runtime.study.made import MadePictures

        parts = split(MadePictures(title, found.pictures), sets)
        evaluation = self._evaluator.evaluate(parts, self._reference)
        name = self._evaluator.extractor.name
        return {metric_name(key, name): Spread(*values) for key, values in evaluation.over_sets().items()}

    def notes(self) -> list[str]:
        """Extractor and reference, and what keeps numbers from being compared with others."""
        from legoc_runtime.evaluation.evaluate import warnings

        pictures, statistics = self._reference.pictures, self._reference.statistics
        count = statistics.images if statistics is not None else len(pictures or ())
        said = "an unknown number of" if count is None else f"{count:,}"
        head = f"features: {self._evaluator.extractor.describe()}; reference: {self._reference.path}, {said} pictures"
        return [head, *warnings(self._evaluator.extractor, [self._images], count)]


def _judge(request: Request, images: int) -> _Judge | None:
    """What holds pictures against the reference, checked against the stack; None without features.

    Raises:
        UsageError: there is no reference, one of another size, or the stack makes no pictures.
    """
    features, manifest = request.features, request.source.manifest
    if features.extractor == NONE:
        if features.reference is not None or features.inception_weights is not None:
            raise UsageError("--features none looks at no reference", help="leave --ref and --inception-weights out")
        return None
    import torch

    from legoc_runtime.evaluation.cache import default_directory
    from legoc_runtime.evaluation.evaluate import Evaluator
    from legoc_runtime.evaluation.named import open_extractor
    from legoc_runtime.evaluation.reference import open_reference
    from legoc_runtime.sampling.pictures import is_picture
    from legoc_runtime.study.made import MadePictures, ReferenceCache

    if not is_picture(manifest.shape.channels):
        raise UsageError(
            f"this stack makes latents of {manifest.shape.channels} channels, which have no features",
            help="pass --features none: the error to the latents without skipping is measured",
        )
    if images < 2:
        raise UsageError("a distribution needs two pictures at least", help="more --seeds, or fewer --sets")
    path = features.reference or (Path(manifest.data_path) if manifest.data_path else None)
    if path is None:
        raise UsageError("there is nothing to hold pictures against", help="give --ref, or --features none")
    extractor = open_extractor(features.extractor, request.device, features.inception_weights)
    reference = open_reference(path)

    def say(line: str) -> None:
        if not request.quiet:
            echo(line, err=True)

    evaluator = Evaluator(extractor, batch=request.settings.batch, cache=ReferenceCache(default_directory(), say))
    blank = MadePictures("what this stack makes", torch.zeros(1, manifest.shape.channels, *manifest.shape.grid))
    evaluator.check([blank], reference)
    return _Judge(evaluator, reference, images)


def _notes(request: Request) -> list[str]:
    weights, settings = request.source.weights, request.settings
    return [
        f"{weights.kind} after {weights.images:,} images; {settings.sampler}, {settings.steps} steps, "
        f"guidance {settings.guidance:g}, seeds {request.seeds}",
        "MACs and time are over those without skipping; MACs are predicted, times measured on "
        f"{request.device}, backend {request.choice.backend.name}",
    ]


def _below(request: Request) -> str:
    return _notes(request)[0]
