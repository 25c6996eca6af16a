"""The second half of `legoc study skip`: what is loaded, sampled, held against the reference and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legoc.cli.output import echo
from legoc.cli.sample_run import Talk
from legoc.cli.study_judge import Features, make_judge
from legoc.cli.study_talk import keeping, leave, place_for
from legoc.study.directory import Study, open_study
from legoc.study.skip import WHOLE, Rest, SkipPoint, plots, table
from legoc.study.spread import Spread
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    import torch

    from legoc.cli.picture_bar import PictureBar
    from legoc.cli.sample_source import StackSource
    from legoc.cli.study_judge import Judge
    from legoc_runtime.backends.base import Choice
    from legoc_runtime.contract.policy import Configuration, Policy
    from legoc_runtime.contract.request import ClassRule
    from legoc_runtime.contract.settings import SampleSettings
    from legoc_runtime.stack import BrickStack
    from legoc_runtime.study.roll_out import RollOut, RollOuts

PICTURES = "pictures"
SHOWN_PICTURES = 64
"""The first seeds of every point, in one picture."""

ACTING = (
    *("sampler", "steps", "eta", "churn", "churn_min", "churn_max", "churn_noise"),
    *("guidance", "guidance_channels", "guidance_interval", "classes"),
)
"""Settings that pictures depend on, beside seeds and weights; a VAE is told apart by its content."""


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
    make_plan(manifest.shape, manifest.policy("none"), request.settings, seeds, _classes(request))
    judge = make_judge(
        request.source,
        request.features,
        request.settings,
        device=request.device,
        images=len(seeds) // request.sets,
        say=Talk(request.quiet),
    )
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


def _asked(request: Request, judge: Judge | None) -> dict[str, Any]:
    """What every point depends on; the points themselves may become more."""
    weights, manifest = request.source.record(), request.source.manifest
    settings = {name: value for name, value in asdict(request.settings).items() if name in ACTING}
    return {
        "stack": manifest.name,
        "spec": manifest.spec_hash,
        "weights": weights.weights_sha256,
        "sampling": settings,
        "seeds": request.seeds,
        "sets": request.sets,
        "features": judge.identity() if judge else "none",
        "device": request.device.type,
        "backend": request.choice.backend.name,
    }


def _classes(request: Request) -> ClassRule:
    from legoc_runtime.contract.request import parse_classes

    return parse_classes(request.settings.classes)


def _measure(
    request: Request, study: Study[SkipPoint], missing: Sequence[Rest], seeds: tuple[int, ...], judge: Judge | None
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
    # before anything else: what is compiled or allocated once is no part of what the first point takes
    always = {rest.brick: replace(rest, share=1.0).policy() for rest in missing}
    times = _times(request, stack, seeds, tuple(always.values()))
    with PictureBar("sampling", (len(missing) + 1) * len(seeds), rounds=calls, quiet=request.quiet) as bar:
        rolls = _rolls(request, stack, seeds, bar)
        if WHOLE not in study.points:
            _keep(study, WHOLE, rolls.whole, judge)
            study.add(_point(request, rolls, None, rolls.whole, times, judge))
        for rest in missing:
            found = rolls.roll(rest.policy())
            _keep(study, rest.key, found, judge)
            study.add(_point(request, rolls, rest, found, times, judge))


def _times(
    request: Request, stack: BrickStack, seeds: tuple[int, ...], policies: tuple[Policy, ...]
) -> dict[Configuration, float]:
    """What each policy's configuration takes over the whole stack, with a bar: it samples a few hundred pictures."""
    from legoc.cli.picture_bar import PictureBar
    from legoc_runtime.contract.schedule import evaluations
    from legoc_runtime.study.interleaved import ROUNDS, STEPS, interleaved_times

    shape, settings = request.source.manifest.shape, request.settings
    pictures = (ROUNDS + 1) * (len(policies) + 1) * len(seeds[: settings.batch])
    calls = len(evaluations(settings.sampler, STEPS))
    with PictureBar("timing", pictures, rounds=calls, quiet=request.quiet) as bar:
        return interleaved_times(stack, shape, settings, seeds, policies, device=request.device, on_call=bar.advance)


def _rolls(request: Request, stack: BrickStack, seeds: tuple[int, ...], bar: PictureBar) -> RollOuts:
    from legoc_runtime.study.roll_out import RollOuts

    shape = request.source.manifest.shape
    rule = _classes(request)
    return RollOuts(stack, shape, request.settings, seeds, rule, device=request.device, on_call=bar.advance)


def _keep(study: Study[SkipPoint], key: str, found: RollOut, judge: Judge | None) -> None:
    """Write the first pictures of a point, for people to look at; latents that nothing decodes have none."""
    from legoc_runtime.sampling.pictures import grid, is_picture, png_bytes, to_uint8, write_whole

    some = found.pictures[:SHOWN_PICTURES]
    some = some if judge is None else judge.pictures(some)
    if not is_picture(some.shape[1]):
        return
    folder = study.path / PICTURES
    folder.mkdir(exist_ok=True)
    write_whole(folder / f"{key.replace(' ', '-')}.png", png_bytes(grid(list(to_uint8(some)))))


def _point(
    request: Request,
    rolls: RollOuts,
    rest: Rest | None,
    found: RollOut,
    times: Mapping[Configuration, float],
    judge: Judge | None,
) -> SkipPoint:
    from legoc.draw.timeline import macs_saved
    from legoc_runtime.contract.policy import Policy, tabulate
    from legoc_runtime.contract.schedule import evaluations, sampling_levels

    shape, settings = request.source.manifest.shape, request.settings
    levels = sampling_levels(settings, shape.diffusion)
    policy = Policy("none") if rest is None else rest.policy()
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
        time=sum(times[ids] * rows for ids, rows in found.rows.items()) / sum(found.rows.values()),
        squared_error=Spread.of([float(error) for error in errors]),
        features=judge.features(policy.name, found, request.sets) if judge else {},
    )


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
