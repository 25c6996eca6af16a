"""The second half of `legoc study refine`: what is loaded, noised, measured, drawn and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legoc.cli.decoder import decoding_asked
from legoc.cli.output import echo
from legoc.cli.study_talk import keeping, leave, own_data, place_for
from legoc.draw.timeline import sigma_text
from legoc.study.directory import Study, open_study
from legoc.study.refine import LevelPoint, key_of, plots, table
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    import torch

    from legoc.cli.sample_source import StackSource
    from legoc_runtime.backends.base import Choice
    from legoc_runtime.data.training_set import TrainingSet
    from legoc_runtime.sampling.decoding import Decoding
    from legoc_runtime.stack import BrickStack

PICTURE_NAME = "estimates.png"


@dataclass(frozen=True)
class Request:
    """A study.

    Attributes:
        source: the run's build and weights.
        sigmas: noise levels, descending.
        examples: how many images errors are measured on.
        image: the image of the picture by its place in the set; None takes the first that is measured.
        data: where images come from; None is the run's data.
        decoder: folder of the VAE that makes pictures of latents, or `none`.
        seed: of the noise.
        batch: images at once.
        choice: the backend.
        device: where it is computed.
        quiet: whether no progress is shown.
    """

    source: StackSource
    sigmas: tuple[float, ...]
    examples: int
    image: int | None
    data: Path | None
    decoder: str
    seed: int
    batch: int
    choice: Choice
    device: torch.device
    quiet: bool


@dataclass(frozen=True)
class _Images:
    """The set that images are of, and what to call it."""

    dataset: TrainingSet
    words: str


def study_refine(request: Request, out: Path | None, *, json: bool) -> None:
    """Measure the levels that are not there yet, draw the picture, and write table and plots of those asked for.

    Raises:
        UsageError: the data does not fit the stack, or the folder holds something else.
        RunError: an image cannot be read, or a file cannot be written.
    """
    images, manifest = _images(request), request.source.manifest

    def say(line: str) -> None:
        echo(line, err=True)

    if request.image is not None and request.image >= len(images.dataset):
        raise UsageError(f"--image {request.image}: there are {len(images.dataset):,} {images.words}")
    images.dataset.check_fits(manifest.shape)
    decoding = decoding_asked(request.source, request.decoder, None, batch=None, way=None, say=say)
    asked = _asked(request, images)
    place = place_for(request.source, "refine", asked, out)
    keys = [key_of(sigma) for sigma in request.sigmas]
    with open_study(place, "refine", asked, LevelPoint) as study, keeping(study):
        stack = _stack(request)
        _measure(request, study, images, stack)
        points = [study.points[key] for key in keys]
        below = _below(request, images)
        notes = [f"errors are root mean squares against the clean image, in the units of the data; {below}"]
        notes += _picture(request, study, images, stack, decoding)
        title = f"{manifest.name}: what each brick makes of a noised image"
        leave(study, keys, title, [table(points)], plots(points, below), notes, json=json)


def _images(request: Request) -> _Images:
    from legoc_runtime.data import open_dataset
    from legoc_runtime.data.split import split

    manifest = request.source.manifest
    path = request.data or own_data(request.source, "give --data")
    if path is None:
        raise UsageError("there are no images to noise", help="give --data")
    dataset = open_dataset(path, resize=manifest.data_resize, size=manifest.shape.grid)
    if request.data is not None:
        return _Images(dataset, f"images of {path}")
    _, held_out = split(dataset, _held_out(request.source))
    return _Images(held_out, "held-out images") if held_out else _Images(dataset, "training images")


def _held_out(source: StackSource) -> float:
    """The share of its data that the run held out: by its checkpoint, which knows of flags, or by its spec."""
    from legoc_runtime.checkpoint import is_checkpoint, read_state

    folder = source.weights.path.parent
    if not is_checkpoint(folder):
        return source.manifest.train.held_out
    settings = read_state(folder).get("settings", {})
    return float(settings.get("held_out", source.manifest.train.held_out))


def _asked(request: Request, images: _Images) -> dict[str, Any]:
    """What every point depends on; levels may become more."""
    weights, manifest = request.source.record(), request.source.manifest
    return {
        "stack": manifest.name,
        "spec": manifest.spec_hash,
        "weights": weights.weights_sha256,
        "data": images.dataset.fingerprint,
        "images": images.words,
        "examples": min(request.examples, len(images.dataset)),
        "seed": request.seed,
        "device": request.device.type,
    }


def _stack(request: Request) -> BrickStack:
    import torch

    from legoc_runtime.study.refine import prefixes

    ids = request.source.manifest.shape.ids
    backend = request.choice.backend
    return request.source.load(prefixes(ids), backend=backend, device=request.device, dtype=torch.float32)


def _measure(request: Request, study: Study[LevelPoint], images: _Images, stack: BrickStack) -> None:
    from legoc.cli.picture_bar import PictureBar
    from legoc_runtime.study.refine import errors, examples

    missing = [sigma for sigma in request.sigmas if key_of(sigma) not in study.points]
    if not missing:
        echo(f"{study.path}: all {len(request.sigmas)} noise levels are there", err=True)
        return
    shown = examples(images.dataset, stack.shape, _indices(request, images))
    with PictureBar("estimating", len(missing) * len(shown), quiet=request.quiet) as bar:
        for sigma in missing:
            found = errors(stack, shown, sigma, request.seed, batch=request.batch, done=bar.advance)
            study.add(LevelPoint(sigma, found))


def _indices(request: Request, images: _Images) -> list[int]:
    from legoc_runtime.data.training_set import spread_indices

    return spread_indices(len(images.dataset), request.examples)


def _picture(
    request: Request, study: Study[LevelPoint], images: _Images, stack: BrickStack, decoding: Decoding | None
) -> list[str]:
    """Write the picture; what to say of it."""
    import torch

    from legoc_runtime.sampling.pictures import is_picture, write_whole
    from legoc_runtime.study.refine import estimates, examples, noised
    from legoc_runtime.study.refine_sheet import Row, refine_sheet

    if decoding is None and not is_picture(stack.shape.channels):
        return [f"{stack.shape.channels} channels are latents, not colours: give --decoder for a picture"]
    index = _indices(request, images)[0] if request.image is None else request.image
    one = examples(images.dataset, stack.shape, [index])
    rows: list[Row] = []
    for sigma in request.sigmas:
        noisy = noised(one, sigma, request.seed)
        found = estimates(stack, one, noisy, sigma)
        errors = tuple(float((estimate - one.clean).double().square().mean().sqrt()) for estimate in found)
        shown = torch.cat([noisy, *found, one.clean])
        pictures = shown if decoding is None else decoding.pictures(shown)
        rows.append(Row(f"sigma {sigma_text(sigma)}", tuple(pictures), errors))
    name, weights = images.dataset.name(index), request.source.weights
    title = f"{stack.manifest.name}: what each brick makes of a noised image"
    below = f"{name}, noise of seed {request.seed}; {weights.kind} after {weights.images:,} images"
    path = study.path / PICTURE_NAME
    write_whole(path, refine_sheet(title, below, ["noised", *stack.shape.ids, "clean"], rows))
    return [f"{path} shows {name}"]


def _below(request: Request, images: _Images) -> str:
    weights, count = request.source.weights, min(request.examples, len(images.dataset))
    return f"{count:,} {images.words}, own classes, no guidance; {weights.kind} after {weights.images:,} images"
