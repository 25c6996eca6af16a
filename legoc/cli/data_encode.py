"""`legoc data encode`: images to latents, once for all stacks that train on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.data_progress import counting
from legoc.cli.options import refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError


def command(
    data: Annotated[Path, Argument(help="A zip, folder, shards or set of images.")],
    vae: Annotated[
        Path | None,
        Option(help="Local folder of an AutoencoderKL of diffusers.", metavar="FOLDER", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, Option("-o", "--out", help="The folder to write. [default: DATA-latents]", show_default=False)
    ] = None,
    size: Annotated[
        str | None,
        Option(help="Height and width that images are encoded at: 256 or 256x384.", metavar="HxW", show_default=False),
    ] = None,
    resize: Annotated[str, Option(help="How images come to that size: none, box, adm or celeba_crop.")] = "none",
    flip: Annotated[bool, Option("--flip", help="Encode mirror images too, for `train: {flip: true}`.")] = False,
    dtype: Annotated[str, Option(help="What is kept: float32, or float16 in half the room.")] = "float32",
    batch: Annotated[int, Option(help="Images at once.", min=1)] = 16,
    shard_images: Annotated[int, Option(help="Images a shard.", min=1)] = 4096,
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
) -> None:
    """Encode images through a VAE into a folder that stacks train on.

    What is kept is each image's distribution, so that training draws another latent every epoch. The folder's
    latents.json says what it holds, how latents are scaled, and their standard deviation, for `sigma_data`. The VAE is
    read from a local folder; nothing is fetched.
    """
    refuse_stdin(data, "data encode")
    if dtype != "float32" and dtype != "float16":
        raise UsageError(f"moments cannot be kept as {dtype}", help="--dtype float32 or float16")
    from legoc.data.request import resize_rule, two_sides

    rule, sides = resize_rule(resize), None if size is None else two_sides(size)
    if sides is not None and rule == "none":
        raise UsageError("--size says nothing where nothing is resized", help="give --resize adm too")

    from legoc.data.encode import EncodeSettings, encode
    from legoc_runtime.backends.device import choose_device
    from legoc_runtime.data import open_images

    place = str(choose_device(device))
    if vae is None:
        raise UsageError("there is no VAE to encode with", help="give --vae, the local folder of an AutoencoderKL")
    images = open_images(data, resize=rule, size=sides)
    settings = EncodeSettings(batch, place, dtype, flip, shard_images)
    target = out if out is not None else Path(f"{data.name.removesuffix(data.suffix)}-latents")
    echo(images.describe(), err=True)
    with counting(len(images), "images encoded") as progress:
        index = encode(images, vae, target, settings, progress)
    echo(target)
    grid = f"grid: {{height: {index.height}, width: {index.width}, channels: {index.channels}}}"
    echo(f"next: a spec with `{grid}`, `diffusion: {{kind: edm, sigma_data: {index.std:.3g}}}`", err=True)
