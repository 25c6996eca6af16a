"""`legoc decode`: pictures of latents that were sampled before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.options import refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError


def command(
    samples: Annotated[Path, Argument(help="A directory of latents that `legoc sample` wrote.")],
    decoder: Annotated[
        Path | None,
        Option(help="Local folder of the AutoencoderKL (diffusers).", metavar="VAE", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, Option("-o", "--out", help="Where pictures go. [default: SAMPLES-decoded]", show_default=False)
    ] = None,
    npz: Annotated[
        bool, Option("--npz", help="Write ADM's samples_NxHxWxC.npz too: 8-bit pictures and classes in one file.")
    ] = False,
    decode_batch: Annotated[int, Option(help="Latents decoded at once, which bounds memory.", min=1)] = 1,
    decode: Annotated[
        str | None,
        Option(
            metavar="tiles|whole",
            help="Decode large canvases in tiles that overlap, or whole. [default: tiles]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    quiet: Annotated[bool, Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Make pictures of sampled latents: a PNG a seed, grid.png and samples.json, as `sample --decoder` would have.

    Called again after a break it makes what is missing. The directory is printed on stdout.
    """
    refuse_stdin(samples, "decode")
    if decoder is None:
        raise UsageError("there is no VAE to decode with", help="pass --decoder VAE, the local folder of its weights")
    from legoc.cli.decoder import decode_way
    from legoc.cli.picture_bar import PictureBar
    from legoc_runtime.backends.device import choose_device
    from legoc_runtime.sampling.decode_set import decode_set, open_latents
    from legoc_runtime.sampling.decoding import make_decoding
    from legoc_runtime.vae import load_vae

    where = choose_device(device)
    latents = open_latents(samples)
    vae = load_vae(decoder, where)
    way = decode_way(vae, latents.shape, decode, "tiles", on_canvas=latents.on_canvas)
    decoding = make_decoding(vae, latents.shape, batch=decode_batch, tiled=latents.on_canvas and way == "tiles")
    if not quiet:
        echo(decoding.describe(), err=True)
    place = out if out is not None else samples.with_name(f"{samples.resolve().name}-decoded")
    with PictureBar("decoding", len(latents.files), quiet=quiet) as bar:
        made = decode_set(latents, decoding, place, npz=npz, on_pictures=bar.advance)
    if not quiet:
        echo(f"{made:,} of {len(latents.files):,} pictures made", err=True)
    echo(place)
