"""`legoc sample`: pictures from a trained stack, with bricks left out as a skip policy says."""

from __future__ import annotations

from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.canvas import canvas_flags, refuse_idle_canvas
from legoc.cli.decoder import decoder_named, decoding_asked
from legoc.cli.options import FROM_SPEC, as_interval, known_sampler, overridden, refuse_idle_guidance, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc.cli.sample_run import Machine, Place, Talk, sample
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc.cli.sample_source import StackSource
    from legoc_runtime.contract.canvas import Canvas
    from legoc_runtime.contract.manifest import Manifest
    from legoc_runtime.contract.settings import SampleSettings
    from legoc_runtime.contract.stack import StackShape
    from legoc_runtime.sampling.decoding import Decoding
    from legoc_runtime.sampling.given import Given
    from legoc_runtime.sampling.plan import Plan


def command(
    path: Annotated[
        Path | None,
        Argument(
            help="A run, a checkpoint in one, a .safetensors file, or an exported folder. "
            "[default: the newest run in runs/]",
            show_default=False,
        ),
    ] = None,
    skip_policy: Annotated[
        str | None,
        Option(
            help=f"none, halfway, halfway:SHARE, or one of the spec's. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str | None, Option(help=f"One picture a seed: 0-63, or 1,5,9-12. {FROM_SPEC}", show_default=False)
    ] = None,
    classes: Annotated[
        str | None,
        Option(
            help=f"One class (3), a list that seeds cycle through (0,3,5), balanced or random. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        Option(help=f"heun, euler, or dpmpp_2m; ddpm or ddim for DDPM stacks. {FROM_SPEC}", show_default=False),
    ] = None,
    guidance: Annotated[
        float | None,
        Option(help=f"Scale of classifier-free guidance; 1 is none. {FROM_SPEC}", show_default=False),
    ] = None,
    guidance_channels: Annotated[
        str | None, Option(help=f"Guide the first so many channels, or all. {FROM_SPEC}", show_default=False)
    ] = None,
    guidance_interval: Annotated[
        str | None,
        Option(
            metavar="LOW,HIGH",
            help=f"Guide at these values of sigma only (elsewhere it costs nothing), or all. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int | None, Option(help=f"Noise levels. {FROM_SPEC}", show_default=False)] = None,
    churn: Annotated[
        float | None,
        Option(help=f"S_churn of EDM; 0 is deterministic. {FROM_SPEC}", show_default=False),
    ] = None,
    churn_min: Annotated[
        float | None, Option(help=f"S_min: churn acts from this sigma. {FROM_SPEC}", show_default=False)
    ] = None,
    churn_max: Annotated[
        float | None,
        Option(help=f"S_max: churn acts up to this sigma. {FROM_SPEC}", show_default=False),
    ] = None,
    churn_noise: Annotated[float | None, Option(help=f"S_noise of EDM. {FROM_SPEC}", show_default=False)] = None,
    eta: Annotated[float | None, Option(help=f"DDIM's share of noise, 0 to 1. {FROM_SPEC}", show_default=False)] = None,
    images_from: Annotated[
        Path | None,
        Option("--from", help="Start from this image, or from a folder's images in turn, noised.", show_default=False),
    ] = None,
    strength: Annotated[
        float | None,
        Option(
            help="With --from: the share of the steps that run, from the last. [default: 0.6; 1 with --mask]",
            show_default=False,
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        Option(help="With --from: a picture, white where pixels are made anew, black where kept.", show_default=False),
    ] = None,
    size: Annotated[
        str | None,
        Option(
            metavar="HxW",
            help="Make canvases of this size, at least the stack's: windows slide over them and agree at every step; "
            f"or grid. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    stride: Annotated[
        int | None,
        Option(help=f"Of a canvas: from one window to the next. {FROM_SPEC}", show_default=False),
    ] = None,
    canvas: Annotated[
        str | None,
        Option(
            help="Of a canvas: windows (the whole stack slides), or factorised (image-bricks alone slide). "
            f"{FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    wrap: Annotated[
        bool | None,
        Option(help=f"Of a canvas: the right border goes on at the left one. {FROM_SPEC}", show_default=False),
    ] = None,
    regions: Annotated[
        str | None,
        Option(
            metavar="FILE|LIST",
            help="Of a canvas: rectangles with classes of their own, class:x0,y0,x1,y1;... (later ones on top), or "
            f"none. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    window_batch: Annotated[
        int | None,
        Option(help="Of a canvas: windows at once, which bounds memory. [default: --batch]", min=1, show_default=False),
    ] = None,
    decoder: Annotated[
        str | None,
        Option(
            metavar="VAE",
            help="Local folder of the AutoencoderKL (diffusers) that makes pictures of latents, or none: keep latents. "
            f"{FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    decode_batch: Annotated[
        int | None,
        Option(
            help="With --decoder: latents decoded at once, which bounds memory. [default: 1]", min=1, show_default=False
        ),
    ] = None,
    decode: Annotated[
        str | None,
        Option(
            metavar="tiles|whole",
            help=f"With --decoder, of a canvas: decode large ones in tiles that overlap, or whole. {FROM_SPEC}",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int | None, Option(help=f"Pictures at once. {FROM_SPEC}", min=1, show_default=False)] = None,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="Where they go. [default: RUN/samples/POLICY-...]", show_default=False),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace samples of another request.")] = False,
    resume: Annotated[
        bool, Option("--resume", help="Keep the pictures in --out that were made with the same settings.")
    ] = False,
    npz: Annotated[
        bool, Option("--npz", help="Write ADM's samples_NxHxWxC.npz too: 8-bit pictures and classes in one file.")
    ] = False,
    ema: Annotated[
        str | None,
        Option(help=f"Rate of the EMA to sample, `first` of the run's, or `none`. {FROM_SPEC}", show_default=False),
    ] = None,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    backend: Annotated[str, Option(help="auto, eager, inductor, aoti, or tensorrt.")] = "auto",
    trust_native: Annotated[
        bool,
        Option("--trust-native", help="Run the native code in the run (aoti, tensorrt); you know who built it."),
    ] = False,
    cuda_graphs: Annotated[
        bool,
        Option("--cuda-graphs", help="On CUDA: launch calls of up to 32 rows as one graph each, for small batches."),
    ] = False,
    dtype: Annotated[str, Option(help="Type of weights and blocks: float32, bf16, or fp16.")] = "float32",
    fp8: Annotated[
        str | None,
        Option(
            metavar="BRICKS",
            help="Multiply in 8-bit floats in these bricks (ids joined by commas, or `large`): faster at large batches "
            "on GPUs from compute capability 9.0 on, with --dtype bf16, and not exact. [default: none]",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Sample a trained stack: a PNG a seed, grid.png and samples.json.

    The noise of a seed is the same whatever the batch, device and policy, so sets of several policies can
    be laid side by side. There is no --set: what a run was trained with is fixed, and flags change the rest.
    Every call of the stack is held against the policy; samples.json keeps the trace.
    torchrun -m legoc sample ... shares the seeds out among processes. The directory is printed on stdout.
    """
    refuse_stdin(path, "sample")
    flags = {"sampler": known_sampler(sampler), "guidance": guidance, "steps": steps, "churn": churn}
    flags |= {"guidance_channels": guidance_channels, "guidance_interval": as_interval(guidance_interval)}
    flags |= {"churn_min": churn_min, "churn_max": churn_max, "churn_noise": churn_noise, "eta": eta}
    flags |= canvas_flags(size, stride, canvas, wrap, regions)
    flags |= {"skip_policy": skip_policy, "seeds": seeds, "classes": classes, "batch": batch, "ema": _as_in_specs(ema)}
    place = Place(out, overwrite, resume, npz)
    say = Talk(quiet or follows_another())
    source = _find(path, ema, say)
    from legoc_runtime.contract.canvas_request import canvas_of

    flags["decoder"] = named = decoder_named(source, decoder)
    flags["decode"] = decode
    settings, notices = overridden(source.manifest.sample, flags)
    refuse_idle_guidance(settings.guidance, flags)
    refuse_idle_canvas(settings, flags, window_batch)
    on = canvas_of(source.manifest.shape, settings)
    decoding = decoding_asked(source, named, on, batch=decode_batch, way=decode, say=say)
    given = _given(source.manifest.shape, images_from, mask, strength, on, decoding)
    plan = _plan(source.manifest, settings, given, decoding, notices, skip_policy is None, say)
    from legoc_runtime.backends.base import choose_backend

    choice = choose_backend(backend, build=source.build, trust_native=trust_native)
    directory = sample(source, plan, place, Machine(device, choice, dtype, cuda_graphs, fp8, window_batch), say)
    if directory is not None:
        echo(directory)


def follows_another() -> bool:
    """Whether another of the processes that `torchrun` started speaks for all of them."""
    return environ.get("RANK", "0") != "0"


def _as_in_specs(ema: str | None) -> str | None:
    """A rate as the spec has it, so that 0.990 does not override 0.99."""
    try:
        return None if ema is None else repr(float(ema))
    except ValueError:
        return ema


def _find(path: Path | None, ema: str | None, say: Talk) -> StackSource:
    from legoc.build_directory import newest_run
    from legoc.cli.sample_source import find_stack

    chosen = path if path is not None else newest_run(Path())
    source = find_stack(chosen, ema)
    which = f"{chosen}, the newest run" if path is None else f"{chosen}"
    say(f"{which}: {source.weights.kind} after {source.weights.images:,} images")
    from dataclasses import replace

    from legoc.policies.record import with_found

    return replace(source, manifest=with_found(source.manifest, source.keeper))


def _given(
    shape: StackShape,
    images: Path | None,
    mask: Path | None,
    strength: float | None,
    canvas: Canvas | None,
    decoding: Decoding | None,
) -> Given | None:
    """What the call starts from, where it starts from images."""
    if images is None:
        idle = "--mask" if mask is not None else "--strength" if strength is not None else None
        if idle is not None:
            raise UsageError(f"{idle} says something of the images that a call starts from", help="pass --from too")
        return None
    from legoc_runtime.sampling.given import read_given

    vae = None if decoding is None else decoding.vae
    return read_given(shape, images, mask, strength, None if canvas is None else canvas.size, vae)


def _plan(
    manifest: Manifest,
    settings: SampleSettings,
    given: Given | None,
    decoding: Decoding | None,
    notices: list[str],
    by_spec: bool,
    say: Talk,
) -> Plan:
    """Everything that can be refused before the weights are read."""
    from legoc_runtime.contract.request import parse_classes, parse_seeds
    from legoc_runtime.sampling.plan import make_plan

    policy = manifest.policy(settings.skip_policy)
    if by_spec:
        say(f"no --skip-policy: taking `{policy.name}`, {_why(policy.name, manifest)}")
    for notice in notices:
        say(notice)
    seeds, classes = parse_seeds(settings.seeds), parse_classes(settings.classes)
    return make_plan(manifest.shape, policy, settings, seeds, classes, given, decoding)


def _why(policy: str, manifest: Manifest) -> str:
    if policy == "default":
        return "the spec's `skip:` keys"
    own_keys = any(known.name == "default" for known in manifest.policies)
    return "as the spec has no `skip:` keys" if policy == "none" and not own_keys else "the spec's `sample.skip_policy`"
