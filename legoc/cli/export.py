"""`legoc export`: write a run's weights as a folder for diffusers and the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from legoc.cli.decoder import NONE
from legoc.cli.options import refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc.cli.sample_source import StackSource


def command(
    run: Annotated[Path, Argument(help="A run, whose newest checkpoint is taken; a checkpoint; a .safetensors file.")],
    out: Annotated[
        Path | None,
        Option(
            "-o",
            "--out",
            help="The folder, or NAME.safetensors for one file; nothing may be there. [default: export/NAME]",
            show_default=False,
        ),
    ] = None,
    ema: Annotated[
        str | None,
        Option(
            help="Which weights: first, a rate, or none for the raw ones. [default: the spec's]", show_default=False
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        Option(help="Keep weights as float32, bf16 or fp16. [default: as they are]", show_default=False),
    ] = None,
    vae: Annotated[
        str | None,
        Option(
            metavar="FOLDER",
            help="Put this VAE (an AutoencoderKL of diffusers) into the folder, or none. [default: the spec's decoder]",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Write one set of a run's weights, its build and its spec as a folder laid out as diffusers does it.

    `legoc_runtime.interop.LegoPipeline` loads and samples it without the compiler, `HubPipeline` puts it on the Hugging
    Face Hub, and `legoc import` makes a run of it again, bit by bit. With -o NAME.safetensors it is one file, the spec
    in its header, which `legoc sample` takes as it is. The path is printed on stdout.
    """
    refuse_stdin(run, "export")
    from legoc.cli.sample_source import find_stack
    from legoc_runtime.checkpoint import read_tensors
    from legoc_runtime.checkpoint.tensorfile import SUFFIX
    from legoc_runtime.interop.folder import check_free, check_whole, write_folder
    from legoc_runtime.interop.single import kept_as, write_file

    source = find_stack(run, ema)
    check_whole(source.manifest)
    place = out if out is not None else Path("export") / source.manifest.name
    check_free(place)
    coder = _vae(source, vae, single=place.suffix == SUFFIX)
    if not quiet:
        weights = source.weights
        echo(f"{weights.path}: {weights.kind} after {weights.images:,} images", err=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    tensors = kept_as(read_tensors(source.weights), dtype)
    if place.suffix == SUFFIX:
        write_file(source.weights, tensors, place)
    else:
        write_folder(source.manifest, source.weights, tensors, place, coder)
    echo(place)


def _vae(source: StackSource, flag: str | None, *, single: bool) -> Path | None:
    """The VAE that goes along."""
    named = flag if flag is not None else source.manifest.sample.decoder
    if named == NONE or (single and flag is None):
        return None
    if single:
        raise UsageError("one file of weights holds no VAE", help="leave --vae out, or export a folder")
    from legoc_runtime.vae import check_folder, check_whole

    folder, channels = Path(named), source.manifest.shape.channels
    try:
        own = check_folder(folder).get("latent_channels", 4)
    except UsageError as error:
        raise UsageError(error.message, help=error.help if flag else "or export without it: --vae none") from error
    if own != channels:
        raise UsageError(
            f"{folder} makes pictures of latents of {own} channels, and the stack has {channels}",
            help="give the VAE that its training data were encoded with, or --vae none",
        )
    check_whole(folder)
    return folder
